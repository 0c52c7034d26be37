"""The placeholder of a plain `<img>`: a drawing as the body of a 404 or 503, which browsers show as well.

The URL chooses it: `d=initials` with `initials=AL`; `d=404`, the default, sends a problem document. Only the body of
the answer and its type change, never the status or the caching.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from html import escape
from zlib import crc32

from wcwidth import iter_graphemes, wcswidth

from web.problems import Problem

MIME_TYPE = "image/svg+xml"
CHOICES = ("404", "initials")
LETTERS_MAX = 2
CHARACTERS_MAX = 32  # code points: an emoji may be made of a dozen
LETTER_CATEGORIES = ("L", "N", "So")  # Unicode's: letters, numbers, pictographs
JOINED_CATEGORIES = (*LETTER_CATEGORIES, "M", "Sk", "Cf")  # marks, skin tones, joiners
UNREADABLE = "\ufffd"  # parsing replaces bytes that are not UTF-8
# White letters have a contrast of at least 4.5 on each colour (WCAG 1.4.3).
COLOURS = ("#b3261e", "#a8471a", "#83590a", "#54691b", "#2b7031", "#0a7264", "#0b6b8c", "#2f62b5", "#5a55c0",
           "#7d4bb0", "#9a3f93", "#ab3568")  # fmt: skip
# Of the letters, by their width in the columns of a terminal: an emoji and most letters of East Asia take two.
SIZES, SMALLEST = {1: 50, 2: 42}, 31
CALM, FIGURE = "#dde1e6", "#a3abb5"
PERSON = f'<circle cx="50" cy="38" r="18" fill="{FIGURE}"/><path d="M14 100a36 36 0 0 1 72 0z" fill="{FIGURE}"/>'
LETTERS = (
    '<text x="50" y="50" dy="0.35em" text-anchor="middle" font-family="sans-serif" font-size="{size}" fill="#ffffff">'
    "{letters}</text>"
)
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{pixels}" height="{pixels}" viewBox="0 0 100 100">'
    '<rect width="100" height="100" fill="{ground}"/>{figure}</svg>'
)


def read_placeholder(given: Mapping[str, Sequence[str]]) -> str | None:
    """Returns the initials to draw, empty for the outline of a person, or None if the URL chooses no placeholder.

    Raises Problem: 400.
    """
    choice, *more = given.get("d") or ["404"]
    if more or choice not in CHOICES:
        raise Problem(400, f"d: must be one of {', '.join(CHOICES)}")
    initials, *more = given.get("initials") or [""]
    if more or not _are_initials(initials):
        raise Problem(400, f"initials: must be at most {LETTERS_MAX} letters, numbers or emoji")
    return initials if choice == "initials" else None


def draw(initials: str, subject: str, pixels: int) -> bytes:
    """Draw a square SVG 1.1 without styles and scripts. A subject always has the same colour."""
    ground, figure = CALM, PERSON
    if initials:
        ground = COLOURS[crc32(subject.encode()) % len(COLOURS)]
        figure = LETTERS.format(letters=escape(initials), size=SIZES.get(wcswidth(initials), SMALLEST))
    return PICTURE.format(pixels=pixels, ground=ground, figure=figure).encode()


def _are_initials(text: str) -> bool:
    if len(text) > CHARACTERS_MAX or UNREADABLE in text or _count(text) > LETTERS_MAX:
        return False
    return all(_is_letter(letter) for letter in iter_graphemes(text))


def _is_letter(letter: str) -> bool:
    """Returns True for one letter, number or emoji, with its marks and joiners."""
    first, *others = map(unicodedata.category, letter)
    return first.startswith(LETTER_CATEGORIES) and all(one.startswith(JOINED_CATEGORIES) for one in others)


def _count(text: str) -> int:
    """Count the letters as people see them (Unicode Standard Annex 29)."""
    return sum(1 for _ in iter_graphemes(text))
