"""Redacts the bot token, and what follows the host of the webhook's URL, in all text that leaves the process."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SECRET_LETTERS = 16  # BotFather's tokens have 35 after the colon


class Redactor:
    """Redacts one token, however it is quoted, and the path and query of the webhook's URL.

    The token's secret part is redacted alone, too, unless it is so short that it could be a word of any line.
    """

    def __init__(self, token: str, webhook_url: str = "") -> None:
        bot_id, _, self._secret = token.partition(":")
        optional = "?" if len(self._secret) >= SECRET_LETTERS else ""
        self._spelled = re.compile(rf"(?:{bot_id}(?::|%(?:25)*3[Aa])){optional}{re.escape(self._secret)}")
        self._instead = f"{bot_id}:***"
        url = urlsplit(webhook_url)
        self._path = url._replace(scheme="", netloc="").geturl().removeprefix("/")
        self._receiver = re.compile(rf"({re.escape(url.hostname or '')}\]?(?::[0-9]+)?/){re.escape(self._path)}", re.I)

    def __call__(self, text: str) -> str:
        """The text without the token, as text or as a URL spells it, and without the path of the webhook."""
        if self._path and self._path in text:
            text = self._receiver.sub(r"\1***", text)
        if self._secret not in text:  # called for every log line: the search is the quick part
            return text
        return self._spelled.sub(self._instead, text)
