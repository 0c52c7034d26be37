"""The rules for a partner's name, wherever it comes from."""

from __future__ import annotations

import unicodedata

NAME_MAX = 129  # characters: 64 for each of Telegram's two names, and the space
CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, halves of surrogate pairs, ends of lines
# Unicode's Bidi_Control: they turn the text that follows around, beyond the name, too
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Categories without ink of their own (of marks on a letter, the letter is seen), and letters that show nothing
UNSEEN = (*CONTROLS, "Cf", "Zs", "Mn", "Me")
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def has_controls(name: str) -> bool:
    """Returns True if the name has control characters, or characters that end a line or turn the text around."""
    return any(map(_is_control, name))


def without_controls(name: str) -> str:
    """Returns the name without them."""
    return "".join(letter for letter in name if not _is_control(letter))


def is_blank(name: str) -> bool:
    """Returns True if a reader sees nothing of the name."""
    return all(letter in BLANK or unicodedata.category(letter) in UNSEEN for letter in name)


def _is_control(letter: str) -> bool:
    return letter in DIRECTIONS or unicodedata.category(letter) in CONTROLS
