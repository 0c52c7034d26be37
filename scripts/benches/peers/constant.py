"""Always the same answer: the cost of gunicorn itself.

ANSWER_BYTES=6000 gunicorn --pythonpath scripts benches.peers.constant:app
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

BODY = bytes(int(os.environ["ANSWER_BYTES"]))
HEADERS = [("Content-Type", "image/webp"), ("Content-Length", str(len(BODY)))]


def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    start_response("200 OK", HEADERS)
    return [BODY]
