"""A receiver of the webhook: an HTTP server that keeps what it got, and answers as a test says. A service with one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.faults import Stage, run_stage
from tests.support.running import PATIENT
from tests.support.servers import HttpStub, Pieces, reply

SECRET = "whsec_" + base64.b64encode(b"a secret of a test: 32 bytes....").decode()


@dataclass(frozen=True)
class Got:
    """One request."""

    headers: dict[str, str]  # their names in lower case
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver(HttpStub):
    """Answers 204, or with what `answer` returns. `got` lists the requests in their order."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], Pieces] = lambda _: reply(status=204)
        self.opened = threading.Event()  # cleared: the answers wait
        self.opened.set()
        super().__init__()

    @property
    def hook(self) -> str:
        return f"{self.url}/hook"

    def respond(self, line: str, body: bytes, /) -> Pieces:
        head = next(head for head in reversed(self.heads) if head[0].startswith(line))
        fields = dict(field.split(": ", 1) for field in head[1:])
        got = Got({name.lower(): value for name, value in fields.items()}, body)
        self.got.append(got)
        self.opened.wait()
        return self.answer(got)

    def list_types(self) -> list[str]:
        return [got.event["type"] for got in self.got]

    @contextmanager
    def away(self) -> Iterator[None]:
        """Answer nothing during the block: every connection ends at once."""
        self.cut()
        try:
            yield
        finally:
            self._is_cut = False

    def close(self) -> None:
        self.opened.set()
        super().close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def hooked_stage(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service that sends its events to the receiver."""
    folder = tmp_path_factory.mktemp("webhook")
    with run_stage(folder, WEBHOOK_URL=receiver.hook, WEBHOOK_SECRET=SECRET, **PATIENT) as stage:
        yield stage


def drip(head: bytes, drop: bytes) -> Pieces:
    """An answer that begins with `head` and goes on drop by drop until the connection is cut."""
    yield head
    while True:
        time.sleep(0.05)
        yield drop


def verify_by_hand(got: Got, secret: str = SECRET) -> bool:
    """As the text of Standard Webhooks says: `v1`, and the HMAC-SHA256 of id, timestamp and body between dots."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(one, expected) for one in got.headers["webhook-signature"].split(" "))
