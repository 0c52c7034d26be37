"""The pictures, and the remembered list: a WSGI layer in front of Flask, since most requests end in memory.

request.py → cache.py, found: 200 / 304
     └ otherwise lookup.py reads Redis: 200 / 304 / 404
           └ nothing stored: it requests the picture from the workers, and this thread waits (waiting.py) until "done"
A list whose answer is remembered comes from web/api/fast_list.py. Everything else goes on to Flask.
web/photos/exchange.py tells the story of one request.

Under our gunicorn most requests do not come here: web/server/worker.py answers hits in its loop, and lets the clients
of other pictures wait there (flights.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import NotFound

from warmer.request_id import working_for
from web.photos.context import PhotoContext
from web.photos.exchange import Exchange
from web.photos.request import LIST_PATH, PREFIX_LENGTH, PREFIXES, PRIVATE_NETWORK, ListRequest, RawRequest
from web.photos.response import Reply, list_common_headers
from web.problems import Problem, to_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PRIVATE_NETWORK_IN_ENVIRON = f"HTTP_{PRIVATE_NETWORK.upper().replace('-', '_')}"


class PhotoLayer:
    """Answers the photo routes, and lists if it can. Passes every other request on."""

    def __init__(
        self,
        inner: WSGIApplication,
        app: Flask,
        context: PhotoContext,
        find_list: Callable[[ListRequest], Reply | None],
    ) -> None:
        """`app` is the sender of the signals. `find_list` returns an answer at once, None if Flask must give it."""
        self.inner = inner
        self.app = app
        self.context = context
        self.find_list = find_list
        self.common = list_common_headers(context.store.formats)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if "HTTP_HOST" not in environ and environ["SERVER_PROTOCOL"] != "HTTP/1.0":
            return to_response(Problem(400, "HTTP/1.1 needs a Host"))(environ, start_response)  # RFC 9112, 3.2
        if path[:PREFIX_LENGTH] in PREFIXES:
            reply = self.open(read_environ(environ)).answer()
            start_response(reply.status, reply.headers)
            return (reply.body,) if reply.body else ()
        if path == LIST_PATH and (listed := read_list_environ(environ)) and (found := self.find_list(listed)):
            start_response(found.status, found.headers)
            return (found.body,) if found.body else ()
        if path.startswith("//"):  # werkzeug would drop the slashes, behind the back of a proxy's rules
            return to_response(NotFound())(environ, start_response)
        environ["PATH_INFO"] = path or "/"  # http://host without a path (RFC 9110, 4.2.3), and no redirect
        with working_for(self.context.request_ids.choose(environ.get("HTTP_X_REQUEST_ID"))):
            return self.inner(environ, start_response)

    def open(self, raw: RawRequest) -> Exchange:
        """Start the exchange for one request."""
        return Exchange(self.app, self.context, self.common, raw)


def read_environ(environ: WSGIEnvironment) -> RawRequest:
    """Read all that the answer of a photo route depends on."""
    get = environ.get
    return RawRequest(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        get("QUERY_STRING", ""),
        get("HTTP_ACCEPT", ""),
        get("HTTP_IF_NONE_MATCH"),
        get("HTTP_X_REQUEST_ID"),
    )


def read_list_environ(environ: WSGIEnvironment) -> ListRequest | None:
    """Read all that the answer of a list depends on. Returns None for a request that Flask must answer."""
    get = environ.get
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or PRIVATE_NETWORK_IN_ENVIRON in environ:
        return None
    return ListRequest(
        environ["REQUEST_METHOD"],
        get("QUERY_STRING", ""),
        get("HTTP_AUTHORIZATION", ""),
        get("HTTP_ORIGIN"),
        get("HTTP_ACCEPT_ENCODING"),
        get("HTTP_X_REQUEST_ID"),
    )
