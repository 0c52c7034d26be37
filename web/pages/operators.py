"""Lets operators in: by an API key, or by the page key that `scripts/run` makes and prints at each start.

An address proves nothing: to this process a proxy on the same machine is every one of its clients.
"""

from __future__ import annotations

import hmac

from flask import Response, request

from web.api.auth import count_wrong_key, require
from web.context import get_context
from web.pages.context import PageContext
from web.problems import Problem


def require_operator(*, takes_basic: bool = False) -> None:
    """Require the page key in its cookie, or an API key. Raises Problem: 401, 403 for a user."""
    if not has_page_key():
        require("server", takes_basic=takes_basic)


def has_page_key() -> bool:
    """Returns True if the browser has the cookie of this start."""
    return _is_page_key(request.cookies.get(_name_cookie(), ""))


def sign_in(given: str) -> Response:
    """Move the page key from the URL into a cookie, which no script and no other site can use.

    Raises Problem: 403, 429 for too many wrong keys from an address.
    """
    if not _is_page_key(given):
        count_wrong_key()
        raise Problem(403, "this key is from another start: open the URL that was printed at this start")
    response = Response(status=303, headers={"Location": "./"})  # the page may stand under any path
    response.set_cookie(_name_cookie(), given, path=None, httponly=True, samesite="Strict")  # the page's own path
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _is_page_key(given: str) -> bool:
    key = get_context(PageContext).settings.page_key
    return key is not None and hmac.compare_digest(key.get_secret_value().encode(), given.encode("utf-8", "replace"))


def _name_cookie() -> str:
    """Browsers share cookies between the ports of a host, so each service has its own."""
    return f"avatar_warmer_{get_context(PageContext).settings.port}"
