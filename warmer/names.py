"""The rules for a partner's name, wherever it comes from."""

from __future__ import annotations

import unicodedata

NAME_MAX = 129  # characters: 64 for each of Telegram's two names, and the space
UNSHOWN = ("Cc", "Cs")  # Unicode categories: control characters, halves of surrogate pairs


def has_controls(name: str) -> bool:
    """Returns True if the name has characters that cannot be shown."""
    return any(unicodedata.category(letter) in UNSHOWN for letter in name)


def without_controls(name: str) -> str:
    """Returns the name without them."""
    return "".join(letter for letter in name if unicodedata.category(letter) not in UNSHOWN)
