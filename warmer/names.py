"""What a partner may be called, by whichever way the name comes in."""

from __future__ import annotations

import unicodedata

NAME_MAX = 129  # characters: 64 for each of Telegram's two names, and the space
UNSHOWN = ("Cc", "Cs")  # Unicode categories: control characters, halves of surrogate pairs


def has_controls(name: str) -> bool:
    """Whether there is anything in it that nobody can show."""
    return any(unicodedata.category(letter) in UNSHOWN for letter in name)


def without_controls(name: str) -> str:
    """The name without that."""
    return "".join(letter for letter in name if unicodedata.category(letter) not in UNSHOWN)
