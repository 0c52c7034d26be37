"""A Flask app over HTTP, for a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serve(app: Flask, handler: type[WSGIRequestHandler] = Quiet) -> Iterator[str]:
    """Serve the app on a free loopback port. Yields its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="serving")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
