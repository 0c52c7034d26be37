"""The receiver of the webhook: one POST in the form of Standard Webhooks (standardwebhooks.com), and its answer.

Nothing here raises an error for an answer, and no text contains the URL: its path may be a secret.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import urlsplit

import requests
from requests import Response
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from warmer.deadline import Deadline
from warmer.http_url import is_loopback, is_public
from warmer.settings import Settings
from warmer.telegram.connections import make_session
from warmer.telegram.dial import Dialer, ForbiddenAddress
from warmer.telegram.watchdog import Watchdog

ATTEMPT_SECONDS = 20.0  # in all, however the answer drips; Standard Webhooks recommends 15 to 30
CONNECT_SECONDS = 5.0
# A short answer is read to its end, so that the connection can be used again. A longer or slower one closes it.
MAX_ANSWER_BYTES, DRAIN_SECONDS = 4096, 1.0
MAX_RETRY_AFTER = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an attempt."""

    status: int | None  # None without an answer
    reason: str  # for people: a status, or why there was no answer
    retry_after: float = 0.0  # seconds that the receiver asks for

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == HTTPStatus.GONE


class Receiver:
    """Signs and sends. Pooled connections, a total deadline, no redirect."""

    def __init__(
        self,
        settings: Settings,
        connections: int,
        clock: Callable[[], float] = time.monotonic,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        """`clock`: tells the seconds for which connections are idle."""
        self._attempt_seconds = attempt_seconds
        self._late = Answer(None, f"no answer within {attempt_seconds:g} s")
        self._url = settings.webhook_url or ""
        self._signers = [Webhook(secret.get_secret_value()) for secret in settings.webhook_secret]
        may_be_private = settings.webhook_allow_private or is_loopback(urlsplit(self._url).hostname)
        dialer = Dialer(lambda address: may_be_private or is_public(address))
        self._session = make_session(connections, clock, dialer)
        self._session.headers["User-Agent"] = f"avatar-warmer/{version('avatar-warmer')}"
        self._watchdog = Watchdog()

    def close(self) -> None:
        """Close the connections, and end the thread that bounds the attempts."""
        self._watchdog.close()
        self._session.close()

    def post(self, event_id: str, body: str, now: float, within: Deadline | None = None) -> Answer:
        """Send one event, signed at `now`, Unix time in seconds. Never raises for what the receiver does.

        `within`: the attempt ends with this deadline at the latest, however long the resolver takes.
        """
        headers = self._sign(event_id, body, now) | {"Content-Type": "application/json"}
        with self._watchdog.guard(Deadline(self._attempt_seconds, within=within)) as call:
            try:
                with self._session.post(
                    self._url,
                    data=body.encode(),
                    headers=headers,
                    timeout=(CONNECT_SECONDS, self._attempt_seconds + 1),  # the watchdog comes first, and says so
                    stream=True,
                    allow_redirects=False,
                ) as response:
                    if call.was_cut:  # the end of a cut connection reads like the end of the headers
                        return self._late
                    answer = _read(response)
                    call.deadline = Deadline(DRAIN_SECONDS)  # the answer is known: its rest may take no longer
                    with suppress(requests.RequestException, HTTPError, OSError, ValueError):
                        _drain(response)
                    return answer
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                failure = _explain(error)
        return self._late if call.was_cut else Answer(None, failure)

    def _sign(self, event_id: str, body: str, now: float) -> dict[str, str]:
        """The headers, with a signature of each secret: a receiver needs to know one of them."""
        at = datetime.fromtimestamp(int(now), UTC)
        signatures = [signer.sign(event_id, at, body) for signer in self._signers]
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(signatures),
        }


def _read(response: Response) -> Answer:
    """Returns the result: its status decides."""
    return Answer(response.status_code, f"status {response.status_code}", _read_retry_after(response))


def _read_retry_after(response: Response) -> float:
    """The seconds that the receiver asks for, as a number or as a date (RFC 9110, 10.2.3), else 0."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    with suppress(ValueError, TypeError):
        since = parsedate_to_datetime(response.headers["Date"]) if "Date" in response.headers else datetime.now(UTC)
        return min(max(0.0, (parsedate_to_datetime(text) - since).total_seconds()), MAX_RETRY_AFTER)
    return 0.0


def _drain(response: Response) -> None:
    """Read a short answer to its end: a connection with unread bytes is closed."""
    if int(response.headers.get("Content-Length", MAX_ANSWER_BYTES + 1)) <= MAX_ANSWER_BYTES:
        response.raw.read(MAX_ANSWER_BYTES, decode_content=False)


def _explain(error: BaseException | None) -> str:
    """Returns why there was no answer, from the classes alone: the text of most errors holds the URL."""
    kinds = []
    while error is not None:
        kinds.append(type(error))
        error = error.__cause__ or error.__context__
    if ForbiddenAddress in kinds:
        return "a private address, which WEBHOOK_ALLOW_PRIVATE does not allow"
    return f"no answer ({kinds[-1].__name__})"
