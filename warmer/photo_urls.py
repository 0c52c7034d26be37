"""Photo URLs, signed: an `<img>` sends no headers, so the right to see a picture is in its URL.

sig = base64url without padding of the first 16 bytes of HMAC-SHA256(key, "file:" + file_id or "user:" + id). The
first key signs, all verify. They never expire, so that URLs stay cacheable.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlencode

from pydantic import SecretStr

from warmer.http_url import is_loopback
from warmer.keys import Subject
from warmer.photo import choose_shown
from warmer.settings import Settings

RELATIVE = (
    "PUBLIC_URL is not set: photo URLs are paths, and only pages that this service serves can show them "
    "(docs/backend.md)"
)


def sign(key: str, message: str) -> str:
    """The signature of `file:<file_id>` or `user:<id>`."""
    digest = hmac.digest(key.encode(), message.encode(), hashlib.sha256)
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def get_url_warning(settings: Settings) -> str:
    """Return a warning if others may reach the service and photo URLs are paths. Empty if there is nothing to say."""
    return "" if settings.public_url or is_loopback(settings.host) else RELATIVE


REMEMBERED = 4096  # subjects


class PhotoUrls:
    """Makes and checks the URLs of photos."""

    def __init__(self, keys: Sequence[SecretStr], public_url: str, sizes: Sequence[int]) -> None:
        self._keys = [key.get_secret_value() for key in keys]
        self.public_url = public_url
        self.sizes = tuple(sorted(sizes))
        self.size = choose_shown(self.sizes)
        # Lists repeat the newest partners, and signing takes a fifth of a list's time.
        self.of = lru_cache(REMEMBERED)(self._format)

    def sign(self, message: str) -> str:
        """The signature with the first key."""
        return sign(self._keys[0], message)

    def verify(self, message: str, signature: str) -> bool:
        """Returns True if one of the keys signed the message. Tries every key, each in constant time."""
        given = signature.encode("utf-8", "replace")
        return sum(hmac.compare_digest(sign(key, message).encode(), given) for key in self._keys) > 0

    def list_sizes(self, subject: str) -> list[str]:
        """The URLs of every size of a file id or of `user:<id>`, the smallest first."""
        shown = Subject(subject)
        kind, name = ("user", str(shown.user_id)) if shown.is_person else ("file", shown.file_id)
        signature = sign(self._keys[0], f"{kind}:{name}")
        queries = [urlencode({"size": size, "sig": signature}) for size in self.sizes]
        return [f"{self.public_url}/api/photos/{kind}/{name}?{query}" for query in queries]

    def _format(self, subject: str) -> tuple[str, str]:
        """`photo_url` and `photo_srcset` of a file id or of `user:<id>`."""
        urls = dict(zip(self.sizes, self.list_sizes(subject), strict=True))
        return urls[self.size], ", ".join(f"{url} {size}w" for size, url in urls.items())
