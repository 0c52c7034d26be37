"""Redacts a bot token in all text that leaves the process, however it is quoted."""

from __future__ import annotations

import re

SECRET_LETTERS = 16  # BotFather's tokens have 35 after the colon


class Redactor:
    """Redacts one token.

    Its secret part is redacted alone, too, unless it is so short that it could be a word of any line.
    """

    def __init__(self, token: str) -> None:
        bot_id, _, self._secret = token.partition(":")
        optional = "?" if len(self._secret) >= SECRET_LETTERS else ""
        self._spelled = re.compile(rf"(?:{bot_id}(?::|%(?:25)*3[Aa])){optional}{re.escape(self._secret)}")
        self._instead = f"{bot_id}:***"

    def __call__(self, text: str) -> str:
        """The text without the token, as text or as a URL spells it."""
        if self._secret not in text:  # called for every log line: the search is the quick part
            return text
        return self._spelled.sub(self._instead, text)
