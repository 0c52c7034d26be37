"""Always the same answer, from this service's app: the cost of gunicorn itself.

ANSWER_BYTES=6000 gunicorn --pythonpath scripts benches.peers.constant:app
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from web import create_app

BODY = bytes(int(os.environ["ANSWER_BYTES"]))
HEADERS = [("Content-Type", "image/webp"), ("Content-Length", str(len(BODY)))]


def answer(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    start_response("200 OK", HEADERS)
    return [BODY]


app = create_app()  # gunicorn.conf.py opens and closes its parts
app.wsgi_app = answer  # type: ignore[assignment]  # as Flask's documentation does
