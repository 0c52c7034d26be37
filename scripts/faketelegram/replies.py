"""Answers as values: what is said, and how it goes out."""

import json
from dataclasses import dataclass
from enum import Enum

OCTETS = "application/octet-stream"


class Delivery(Enum):
    WHOLE = "whole"
    CHUNKED = "chunked"  # the length is not told beforehand
    SLOW_HEADERS = "slow headers"
    SLOW_BODY = "slow body"
    TRUNCATED = "truncated"  # half the promised length, then the end
    RESET = "reset"
    HANG = "hang"  # nothing, for as long as the client waits


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


def result(value: object) -> Reply:
    return as_json({"ok": True, "result": value})


def failure(code: int, description: str) -> Reply:
    return as_json({"ok": False, "error_code": code, "description": description}, code)


def too_many(seconds: int) -> Reply:
    description = f"Too Many Requests: retry after {seconds}"
    said = {"ok": False, "error_code": 429, "description": description, "parameters": {"retry_after": seconds}}
    plain = as_json(said, 429)
    return Reply(plain.status, plain.body, headers=(("Retry-After", str(seconds)),))


NOT_FOUND = failure(404, "Not Found")
UNAUTHORIZED = failure(401, "Unauthorized")
