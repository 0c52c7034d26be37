"""BotApi: the one class that speaks to Telegram, and the one that holds the bot token.

The token is part of every URL. So nothing here raises for status, every call is wrapped, and what comes out is our
own error, made of method, status and error class, `from None`: no URL, no response and no exception of a library
leaves this module. Facts: Bot API 10, core.telegram.org/bots/api.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlencode

import requests
from pydantic import SecretStr
from requests import Response
from urllib3.exceptions import HTTPError

from warmer.deadline import Deadline
from warmer.errors import (
    DeadlineExceeded,
    InvalidFileId,
    NoPhoto,
    Paused,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    UpstreamFailed,
    WarmerError,
)
from warmer.keys import FILE_ID
from warmer.photo import Bot, FilePath, PhotoSize
from warmer.watchdog import Watchdog, WatchedAdapter

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
MAX_PHOTO_BYTES = 10 * 2**20
MAX_ANSWER_BYTES = 2**20
CHUNK_BYTES = 64 * 2**10
SAFE_PATH = re.compile(r"(?!/)(?!.*//)(?!.*\.\.)[A-Za-z0-9_./ -]{1,512}")  # relative, no "..", no scheme

OnCall = Callable[[str, str, float], None]  # method, outcome, seconds


class PathExpired(UpstreamFailed):
    """404 on a download: the path is no longer good, getFile gives another."""


class DownloadUnauthorized(UpstreamFailed):
    """401 on a download alone has been a passing fault: getMe tells."""


class BotApi:
    """Pooled connections, total deadlines, a byte cap; Telegram's errors become ours."""

    def __init__(self, token: SecretStr, base_url: str, *, connections: int, on_call: OnCall) -> None:
        self._token = token
        self._base_url = base_url
        self._on_call = on_call
        self._watchdog = Watchdog()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no netrc from the environment sees the token
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = WatchedAdapter(pool_connections=1, pool_maxsize=connections, pool_block=True, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        # Every call is this one to another URL: preparing one anew takes a third of a call's time.
        self._request = self._session.prepare_request(requests.Request("GET", base_url))

    def get_me(self, deadline: Deadline) -> Bot:
        """Who the token belongs to; raises TokenRejected where it is wrong."""
        me = self._call("getMe", {}, deadline)
        return Bot(str(me.get("first_name", "")), str(me.get("username", "")))

    def get_profile_photo(self, user_id: int, deadline: Deadline) -> list[PhotoSize]:
        """The sizes of the newest profile photo; empty where there is none, or it is hidden: the two look alike."""
        answer = self._call("getUserProfilePhotos", {"user_id": user_id, "limit": 1}, deadline)
        photos = _list(answer.get("photos"))
        sizes = [_dict(size) for size in _list(photos[0])] if photos else []
        return [_photo_size("getUserProfilePhotos", s, "", s.get("width")) for s in sizes]

    def get_chat_photo(self, chat_id: int, deadline: Deadline) -> list[PhotoSize]:
        """The two sizes of a chat's photo, or of a user's *public* one; empty where there is none."""
        photo = _dict(self._call("getChat", {"chat_id": chat_id}, deadline).get("photo") or {})
        sizes = (("small_", 160), ("big_", 640)) if photo else ()
        return [_photo_size("getChat", photo, prefix, width) for prefix, width in sizes]

    def get_file(self, file_id: str, deadline: Deadline) -> FilePath:
        """Where the file can be downloaded for about an hour; blocks while Telegram fetches it.

        Raises UpstreamFailed where no path is given, or one that could lead elsewhere: it is untrusted.
        """
        answer = self._call("getFile", {"file_id": file_id}, deadline)
        path = answer.get("file_path")
        if not isinstance(path, str) or not SAFE_PATH.fullmatch(path):
            raise TemporarilyUnavailable("getFile: no usable file_path")
        return FilePath(path, str(answer.get("file_unique_id", "")))

    def download(self, path: FilePath, deadline: Deadline) -> bytes:
        """The bytes of a file, at most 10 MiB.

        Raises PathExpired on 404, TooBig over the cap, DownloadUnauthorized on 401, UpstreamFailed otherwise.
        """
        status, body = self._get("download", f"/file/bot{{token}}/{quote(path.path)}", {}, deadline, MAX_PHOTO_BYTES)
        if status == HTTPStatus.OK:
            return body
        if status == HTTPStatus.NOT_FOUND:
            raise PathExpired("download: the path has expired")
        if status == HTTPStatus.UNAUTHORIZED:
            raise DownloadUnauthorized("download: 401 Unauthorized")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Paused("download: Telegram asked for a pause", retry_after=_retry_after(_parse(body)))
        raise UpstreamFailed(f"download: {status}")

    def _call(self, method: str, params: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        status, body = self._get(method, f"/bot{{token}}/{method}", params, deadline, MAX_ANSWER_BYTES)
        answer = _parse(body)
        if status == HTTPStatus.OK and answer.get("ok") is True:
            return _checked(method, answer)
        raise _error(method, status, answer)

    def _get(self, name: str, path: str, params: dict[str, Any], deadline: Deadline, cap: int) -> tuple[int, bytes]:
        started = time.monotonic()
        outcome = "error"
        try:
            status, body = self._exchange(name, path, params, deadline, cap)
            outcome = str(status)
        except WarmerError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._on_call(name, outcome, time.monotonic() - started)
        return status, body

    def _exchange(
        self, name: str, path: str, params: dict[str, Any], deadline: Deadline, cap: int
    ) -> tuple[int, bytes]:
        left = deadline.require()
        timeout = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
        failure = "an odd end"
        with self._watchdog.guard(deadline) as call:
            try:
                request = self._request.copy()
                request.url = self._url(path, params)
                with self._session.send(request, timeout=timeout, stream=True, allow_redirects=False) as response:
                    body = _read(name, response, cap)
                if not call.was_cut:
                    return response.status_code, body
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                failure = type(error).__name__
        if call.was_cut:
            raise DeadlineExceeded(f"{name}: cut at the total deadline") from None
        raise UpstreamFailed(f"{name}: {failure}") from None

    def _url(self, path: str, params: dict[str, Any]) -> str:
        query = f"?{urlencode(params)}" if params else ""
        return self._base_url + path.format(token=self._token.get_secret_value()) + query


def _read(name: str, response: Response, cap: int) -> bytes:
    """The body, read in pieces; urllib3 raises where it is shorter than its Content-Length."""
    if int(response.headers.get("Content-Length") or 0) > cap:
        raise TooBig(f"{name}: more than {cap} bytes")
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > cap:
            raise TooBig(f"{name}: more than {cap} bytes")
    return bytes(body)


def _parse(body: bytes) -> dict[str, Any]:
    """The JSON object in an answer; an HTML page of some proxy counts as empty."""
    try:
        return _dict(json.loads(body.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}


def _checked(method: str, answer: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(answer.get("result"), dict):
        raise UpstreamFailed(f"{method}: an answer without a result")
    return _dict(answer["result"])


def _error(method: str, status: int, answer: dict[str, Any]) -> WarmerError:
    """Ours for Telegram's, by the code, and by the text only where the code does not tell."""
    text = str(answer.get("description", "")).lower()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Paused(f"{method}: Telegram asked for a pause", retry_after=_retry_after(answer))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return TokenRejected(f"{method}: {status}, Telegram refuses the bot token", retry_after=15)
    if status == HTTPStatus.FORBIDDEN:
        return NoPhoto(f"{method}: 403, deactivated or out of reach")
    if status == HTTPStatus.BAD_REQUEST:
        return _bad_request(method, text)
    return UpstreamFailed(f"{method}: {status}")


def _bad_request(method: str, text: str) -> WarmerError:
    if "temporarily unavailable" in text:
        return TemporarilyUnavailable(f"{method}: 400, temporarily unavailable")
    if "not found" in text or method in ("getUserProfilePhotos", "getChat"):
        return NoPhoto(f"{method}: 400, unknown to the bot")
    if "too big" in text:
        return TooBig(f"{method}: 400, the file is too big")
    return InvalidFileId(f"{method}: 400, invalid file id")


def _photo_size(method: str, value: dict[str, Any], prefix: str, width: Any) -> PhotoSize:
    file_id, unique_id = value.get(f"{prefix}file_id"), value.get(f"{prefix}file_unique_id")
    if not isinstance(file_id, str) or not FILE_ID.fullmatch(file_id):
        raise UpstreamFailed(f"{method}: an odd file id")
    if not isinstance(unique_id, str) or not isinstance(width, int):
        raise UpstreamFailed(f"{method}: an odd photo")
    return PhotoSize(file_id, unique_id, width)


def _retry_after(answer: dict[str, Any]) -> float:
    seconds = _dict(answer.get("parameters") or {}).get("retry_after", 1)
    return float(min(max(1, seconds), 3600)) if isinstance(seconds, int | float) else 1.0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
