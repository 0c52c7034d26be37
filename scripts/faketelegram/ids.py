"""File ids that look like Telegram's and are the same in every run.

- `file_id`: base64url without padding, 83 characters, different for every bot and every size.
- `file_unique_id`: 16 characters, the same for every bot, different for every size.
"""

import base64
import hashlib


def _letters(count: int, parts: tuple[object, ...]) -> str:
    """`count` base64url letters from a hash of the parts; `count` is a multiple of four, so there is no padding."""
    digest = hashlib.shake_256("\0".join(map(str, parts)).encode()).digest(count * 3 // 4)
    return base64.urlsafe_b64encode(digest).decode()


def file_id(*parts: object) -> str:
    return "AgACAgI" + _letters(76, ("file", *parts))


def file_unique_id(*parts: object) -> str:
    return "AQAD" + _letters(12, ("unique", *parts))
