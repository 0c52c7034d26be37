"""Keeps a demo on its own machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from web.problems import Problem, to_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class LoopbackHostOnly:
    """Refuses requests under any other name, so that no page of another site can read a demo through its own name."""

    def __init__(self, inner: WSGIApplication) -> None:
        self.inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        target = environ.get("RAW_URI", "/")
        # The name in an absolute target replaces the one in Host (RFC 9112, 3.2.2).
        names = {environ.get("HTTP_HOST", ""), *([urlsplit(target).netloc] if "://" in target else [])}
        is_malformed = "HTTP_HOST" not in environ and environ["SERVER_PROTOCOL"] != "HTTP/1.0"  # 400, as everywhere
        if is_malformed or all(map(HOST.fullmatch, names)):
            return self.inner(environ, start_response)
        problem = Problem(403, "a demo answers only under the name of its own machine, such as 127.0.0.1")
        return to_response(problem)(environ, start_response)
