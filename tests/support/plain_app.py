"""A WSGI app without a service around it, and workers for it that are sooner or later tired of waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from web.worker import GatheringWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGE_BYTES = 100_000


class HastyWorker(GatheringWorker):
    """Waits a second for what the real one waits ten or twenty for."""

    request_seconds = 1.0
    thread_seconds = 1.0
    leave_seconds = 1.0


class PatientWorker(GatheringWorker):
    """Waits longer for a request than gunicorn gives a process to stop."""

    request_seconds = 60.0


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Something large, the body that came, or the path."""
    path: str = environ["PATH_INFO"]
    body: Any = path.encode()
    if path == "/large":
        body = bytes(LARGE_BYTES)
    elif path == "/read":
        body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
