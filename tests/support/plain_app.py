"""A WSGI app without a service, and workers for it with short or long timeouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gunicorn.workers import gthread

from web.server.gathering import GatheringWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGE_BYTES = 100_000
HUGE_BYTES = 2**22  # far more than the kernel takes for a client that does not read
gthread.STOP_KEEPALIVE_LINGER = 0.1  # seconds that a stopping worker grants idle clients; 2 in production


class HastyWorker(GatheringWorker):
    """Gives up on every slow client, but not on one that a busy machine makes slow."""

    request_seconds = 5.0
    thread_seconds = 5.0
    leave_seconds = 5.0


class PatientWorker(GatheringWorker):
    """Waits for a client longer than any test waits for an answer, so a blocked thread never answers."""

    request_seconds = 600.0
    thread_seconds = 600.0
    leave_seconds = 600.0


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answers with a large or a huge body, the request's body, or the path."""
    path: str = environ["PATH_INFO"]
    body: Any = path.encode()
    if path == "/large":
        body = bytes(LARGE_BYTES)
    elif path == "/huge":
        body = bytes(HUGE_BYTES)
    elif path == "/read":
        body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
