"""Answers as values: the body, and how it is sent."""

import json
from dataclasses import dataclass, replace
from enum import Enum

OCTETS = "application/octet-stream"


class Delivery(Enum):
    WHOLE = "whole"
    CHUNKED = "chunked"  # without a Content-Length
    SLOW_HEADERS = "slow headers"
    SLOW_BODY = "slow body"
    TRUNCATED = "truncated"  # half the promised length, then the end
    CUT = "cut"  # half of the body without any length, then the end
    RESET = "reset"
    HANG = "hang"  # nothing, until the client leaves


class BadRequestError(ValueError):
    """A method refuses its parameters: answered 400 with this text behind `Bad Request: `."""


@dataclass(frozen=True)
class Reply:
    """`delay` is in seconds before the answer, `interval` in seconds between two bytes of a slow one."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery.WHOLE
    delay: float = 0.0
    interval: float = 0.1


def as_json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def result(value: object, description: str = "") -> Reply:
    return as_json({"ok": True, "result": value, **({"description": description} if description else {})})


def failure(code: int, description: str) -> Reply:
    return as_json({"ok": False, "error_code": code, "description": description}, code)


def too_many(seconds: int) -> Reply:
    description = f"Too Many Requests: retry after {seconds}"
    said = {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": seconds}}
    return replace(as_json(said, 429), headers=(("Retry-After", str(seconds)),))


NOT_FOUND = failure(404, "Not Found")
UNKNOWN_METHOD = failure(404, "Not Found: method not found")
UNAUTHORIZED = failure(401, "Unauthorized")
