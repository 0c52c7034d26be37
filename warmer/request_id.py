"""The id of the request that work is done for: it goes with the message into the task, and stands in every log line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "X-Request-ID"
MESSAGE_HEADER = "request_id"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def get_request_id() -> str:
    """The id of the request that this thread works for, "" where it is for none."""
    return _current.get()


@contextmanager
def working_for(request_id: object) -> Iterator[None]:
    """This block is for that request; for none, if the id is missing or malformed: it comes from outside."""
    is_good = isinstance(request_id, str) and WELL_FORMED.fullmatch(request_id)
    token = _current.set(str(request_id) if is_good else "")
    try:
        yield
    finally:
        _current.reset(token)
