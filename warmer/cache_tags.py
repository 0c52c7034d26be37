"""The tags in `Cache-Tag`. A CDN that is told a tag drops every answer with it: all sizes and formats at once.

A tag is a keyed hash of a subject. Whoever sees it without its URL, in the logs of a CDN, learns no id from it. It is
the same in every process and for all URL_SIGNING_KEYS; a new bot token changes it.
"""

from __future__ import annotations

import hashlib
import hmac

TAG_BYTES = 12  # twice as many characters; CDNs ignore the case of a tag, so it is in hexadecimal


class CacheTags:
    """Makes the tags of subjects."""

    def __init__(self, init_data_secret: str) -> None:
        # Not the secret itself: a hash made with it could be the hash of somebody's init data.
        self._key = hmac.digest(bytes.fromhex(init_data_secret), b"cache-tag", hashlib.sha256)

    def of(self, subject: str) -> str:
        """The tag of a file id or of `user:<id>`."""
        return hmac.digest(self._key, subject.encode(), hashlib.sha256)[:TAG_BYTES].hex()

    def format(self, *subjects: str) -> tuple[str, str]:
        """The header with the tags of these subjects, each once."""
        return "Cache-Tag", ",".join(map(self.of, dict.fromkeys(subjects)))
