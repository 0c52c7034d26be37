"""Telegram's answers: JSON becomes values, a refusal one of our errors. Nothing in them is trusted.

Facts: Bot API 10, core.telegram.org/bots/api.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from http import HTTPStatus
from math import isnan
from typing import Any, NamedTuple, Self

from warmer.errors import (
    InvalidFileId,
    NoPhoto,
    Paused,
    Permanent,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    UnknownRefusal,
    Unreachable,
    UpstreamFailed,
    WarmerError,
)
from warmer.keys import FILE_ID
from warmer.names import CONTROLS
from warmer.photo import Bot, PhotoSize

UNIQUE_ID = re.compile(r"[A-Za-z0-9_-]{0,256}")
NAME_MAX = 64  # characters of a bot's name
SECONDS = re.compile(r"[0-9]{1,99}")
PAUSE_MAX_SECONDS = 3600  # a longer one looks like an error of theirs, and would be an outage of ours
PROXY_PAUSE_MAX_SECONDS = 60  # Telegram did not ask for it, and other hosts may not have that proxy
ABOUT_PERSON = ("getUserProfilePhotos", "getChat")
ABOUT_FILE = ("getFile",)
# All that Telegram can say for good about a person or a file: code, words, the methods that say it, what it means.
# The list is closed: a text that is not on it is no knowledge.
PERMANENT: dict[tuple[int, str], tuple[tuple[str, ...], type[Permanent]]] = {
    (400, "invalid file_id"): (ABOUT_FILE, InvalidFileId),
    (400, "file is too big"): (ABOUT_FILE, TooBig),
    (400, "user not found"): (ABOUT_PERSON, NoPhoto),
    (400, "chat not found"): (ABOUT_PERSON, NoPhoto),
    (403, "user is deactivated"): (ABOUT_PERSON, NoPhoto),
}
TEMPORARY = (400, "wrong file_id or the file is temporarily unavailable")
PREFIX = re.compile(r"(bad request|forbidden): ")
LOGGED_OUT = re.compile(r"logged out|(the )?bot has already been closed")


class Reply(NamedTuple):
    """An answer as it came. It holds no other header: a redirect may repeat the URL, and thus the token."""

    status: int
    body: bytes
    retry_after: str
    has_length: bool  # else it ends with its connection

    @classmethod
    def read(cls, status: int, body: bytes, headers: Mapping[str, str]) -> Self:
        """`headers`: names in any case."""
        has_length = "Content-Length" in headers or "Transfer-Encoding" in headers
        return cls(status, body, headers.get("Retry-After", ""), has_length)


def parse_reply(body: bytes) -> dict[str, Any]:
    """The JSON object in an answer; an HTML page of some proxy counts as empty."""
    try:
        return _dict(json.loads(body.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}


def read_result(method: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The result of a call that went well."""
    if not isinstance(answer.get("result"), dict):
        raise Unreachable(f"{method}: an answer without a result")
    return _dict(answer["result"])


def read_bot(me: dict[str, Any]) -> Bot:
    """getMe"""
    return Bot(_name(me.get("first_name")), _name(me.get("username")))


def read_profile_photo(answer: dict[str, Any]) -> list[PhotoSize]:
    """Returns the sizes of the first photo of getUserProfilePhotos. Raises UpstreamFailed if the list is odd."""
    photos = answer.get("photos")
    if photos == []:
        return []
    if not isinstance(photos, list) or not isinstance(photos[0], list):
        raise UpstreamFailed("getUserProfilePhotos: an odd list of photos")
    sizes = [_dict(size) for size in photos[0]]
    return [_photo_size("getUserProfilePhotos", size, "", size.get("width")) for size in sizes]


def read_chat_photo(chat: dict[str, Any]) -> list[PhotoSize]:
    """getChat: the two sizes of the photo, whose widths are fixed."""
    photo = chat.get("photo")
    if photo is None:
        return []
    sizes = (("small_", 160), ("big_", 640))
    return [_photo_size("getChat", _dict(photo), prefix, width) for prefix, width in sizes]


def read_unique_id(method: str, value: Any) -> str:
    """Returns a file's unique id. It goes into Redis, so its letters and its length are bounded."""
    if not isinstance(value, str) or not UNIQUE_ID.fullmatch(value):
        raise UpstreamFailed(f"{method}: an odd unique id")
    return value


def read_file_size(value: Any) -> int | None:
    """Returns the bytes of a file as getFile names them, None if they are missing or odd."""
    return value if type(value) is int and value > 0 else None


def may_be_cut(reply: Reply, size: int | None) -> bool:
    """Returns True if a body may lack its end. `size`: the bytes that getFile named.

    A body that ends with its connection is whole only if it has that size. One with a length is whole, unless a proxy
    announced the length of what it got.
    """
    return len(reply.body) < size if size else not reply.has_length


def to_pause(method: str, reply: Reply) -> Paused:
    """Returns what a 429 means: a pause of at least a second and at most an hour, of a minute if a proxy wrote it.

    The header Retry-After counts if the body names no seconds, but not in its form with a date.
    """
    answer = parse_reply(reply.body)
    seconds = _dict(answer.get("parameters")).get("retry_after")
    if not isinstance(seconds, int | float) or (isinstance(seconds, float) and isnan(seconds)):
        seconds = int(reply.retry_after) if SECONDS.fullmatch(reply.retry_after) else 1
    longest = PAUSE_MAX_SECONDS if _is_refusal(answer, reply.status) else PROXY_PAUSE_MAX_SECONDS
    within = float(min(max(1, seconds), longest))
    return Paused(f"{method}: Telegram asked for a pause", retry_after=within)


def to_error(method: str, status: int, answer: dict[str, Any]) -> WarmerError:
    """Returns what a refusal means: by its code, and by its text only if that is one of the known phrases."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not _is_refusal(answer, status):
        return Unreachable(f"{method}: {status}")
    text = PREFIX.sub("", str(answer.get("description", "")).lower(), count=1).strip()
    if LOGGED_OUT.fullmatch(text):
        return TokenRejected(f"{method}: {status}, the bot is logged out here", 15, "logged_out")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return TokenRejected(f"{method}: {status}, Telegram refuses the bot token", 15, "unauthorized")
    methods, kind = PERMANENT.get((status, text), ((), None))
    if kind and method in methods:
        return kind(f"{method}: {status}, {text}")
    if method in ABOUT_FILE and (status, text) == TEMPORARY:
        return TemporarilyUnavailable(f"{method}: 400, temporarily unavailable")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN):
        return UnknownRefusal(f"{method}: {status}, in unknown words")
    return Unreachable(f"{method}: {status}")


def _is_refusal(answer: dict[str, Any], status: int) -> bool:
    """Returns True if Telegram wrote it, as `ok: false` and the status as `error_code` tell. Else some proxy did."""
    return answer.get("ok") is False and answer.get("error_code") == status


def _photo_size(method: str, value: dict[str, Any], prefix: str, width: Any) -> PhotoSize:
    file_id, unique_id = value.get(f"{prefix}file_id"), value.get(f"{prefix}file_unique_id")
    if not isinstance(file_id, str) or not FILE_ID.fullmatch(file_id):
        raise UpstreamFailed(f"{method}: an odd file id")
    if not unique_id or not isinstance(width, int):
        raise UpstreamFailed(f"{method}: an odd photo")
    return PhotoSize(file_id, read_unique_id(method, unique_id), width)


def _name(value: Any) -> str:
    """A name that can be logged and shown: no control characters, no halves of characters, no endless one."""
    letters = value[:NAME_MAX] if isinstance(value, str) else ""
    return "".join(letter for letter in letters if unicodedata.category(letter) not in CONTROLS)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
