"""The ordinary way of a request, without sockets: gunicorn's parser, environ and answer around an app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.0.0.1", 8000)
VOLATILE = re.compile(rb"(?m)^(Date|X-Request-ID|X-Response-Time|Server-Timing): [^\r]*")


class Sent:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


def make_config(**settings: Any) -> Config:
    """Gunicorn's configuration, with these settings."""
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    return cfg


def read_whole(data: bytes, cfg: Config) -> tuple[Any, WSGIEnvironment]:
    """Returns gunicorn's request and the environ. Fails if there is a body, or anything left over."""
    parser = RequestParser(cfg, iter([data]), CLIENT)
    request = next(parser)
    _, environ = wsgi.create(request, Sent(), CLIENT, SERVER, cfg)
    assert request.body.read() == b""
    assert parser.unreader.take_buffered() == b""
    return request, environ


def answer(app: WSGIApplication, data: bytes, cfg: Config) -> bytes:
    """Returns the bytes that gunicorn sends for this request."""
    sent = Sent()
    request = next(RequestParser(cfg, iter([data]), CLIENT))
    response, environ = wsgi.create(request, sent, CLIENT, SERVER, cfg)
    for item in app(environ, response.start_response):
        response.write(item)
    response.close()
    assert not response.should_close()
    return sent.data


def mask(answer: bytes) -> bytes:
    """The answer without what differs each time: times, and the request's id."""
    head, end, body = answer.partition(b"\r\n\r\n")
    return VOLATILE.sub(rb"\1: _", head) + end + body
