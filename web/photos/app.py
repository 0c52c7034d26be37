"""The pictures: a WSGI layer in front of Flask, since most requests are for them and end in the process's own cache.

request.py → cache.py, found: 200 / 304
     └ otherwise lookup.py reads Redis: 200 / 304 / 404
           └ nothing stored: it requests the picture from the workers and waits (waiting.py) until "done"
Everything else goes on to Flask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from redis.exceptions import RedisError
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from warmer.photo import Unavailable
from warmer.request_id import HEADER, working_for
from web.photos.cache import Answer, Headers
from web.photos.context import PhotoContext
from web.photos.lookup import Hit, PhotoLookup
from web.photos.placeholder import MIME_TYPE, draw
from web.photos.request import PREFIX_LENGTH, PREFIXES, PhotoRequest, read_choice
from web.photos.response import ABSENT_CACHE, HIT, MISS, NO_SNIFFING, SANDBOX, finish, is_known, list_common_headers
from web.problems import Problem, is_away, to_problem, to_response
from web.signals import announce, photo_not_found, photo_not_served, photo_served

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

METHODS = ["GET", "HEAD", "OPTIONS"]
PREFLIGHT = {
    "Allow": ", ".join(METHODS),
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "*",
}


class PhotoLayer:
    """Answers the photo routes, and passes every other request on."""

    def __init__(self, inner: WSGIApplication, app: Flask, context: PhotoContext) -> None:
        """`app` is the sender of the signals."""
        self.inner = inner
        self.app = app
        self.context = context
        self.common = list_common_headers(context.store.formats)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if "HTTP_HOST" not in environ and environ["SERVER_PROTOCOL"] != "HTTP/1.0":
            return to_response(Problem(400, "HTTP/1.1 needs a Host"))(environ, start_response)  # RFC 9112, 3.2
        if path[:PREFIX_LENGTH] in PREFIXES and path[PREFIX_LENGTH : PREFIX_LENGTH + 1] not in ("", "/"):
            return Exchange(self, environ, start_response).answer(path)
        if path.startswith("//"):  # werkzeug would drop the slashes, behind the back of a proxy's rules
            return to_response(NotFound())(environ, start_response)
        environ["PATH_INFO"] = path or "/"  # http://host without a path (RFC 9110, 4.2.3), and no redirect
        with working_for(self.context.request_ids.choose(environ.get("HTTP_X_REQUEST_ID"))):
            return self.inner(environ, start_response)


class Exchange:
    """One request for a picture, and its answer."""

    __slots__ = (
        "app", "common", "context", "environ", "known", "method", "request_id", "start_response", "started", "timings"
    )  # fmt: skip

    def __init__(self, layer: PhotoLayer, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.context = layer.context
        self.started = self.context.clock()
        self.app = layer.app
        self.common = layer.common
        self.environ = environ
        self.start_response = start_response
        self.method: str = environ["REQUEST_METHOD"]
        self.known: str | None = environ.get("HTTP_IF_NONE_MATCH")
        self.request_id: str = self.context.request_ids.choose(environ.get("HTTP_X_REQUEST_ID"))
        self.timings = ""  # for Server-Timing

    def answer(self, path: str) -> Iterable[bytes]:
        """Decide, and start the response. Returns the body."""
        try:
            if self.method != "GET" and self.method != "HEAD":
                return self._send(self._answer_method(), path)
            photo_request = self._read_photo_request(path)
            ready = self.context.cache.get(photo_request)
            if ready is not None and self._is_enough(ready):
                return self._serve(photo_request, ready, was_hit=True)
            with working_for(self.request_id):
                return self._look_or_serve(photo_request)
        except Exception as error:  # noqa: BLE001 - every error gets an answer, as with Flask's routes
            return self._send(self._format_error(error, path), path)

    def _read_photo_request(self, path: str) -> PhotoRequest:
        environ, request_parser = self.environ, self.context.request_parser
        return request_parser.read(path, environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT", ""))

    def _format_error(self, error: Exception, path: str) -> Response:
        """A problem document, or the placeholder that the URL chooses for a picture that is missing or not ready."""
        with working_for(self.request_id):
            response = to_response(to_problem(error))
        if response.status_code not in (404, 503):
            return response
        if (initials := read_choice(self.environ.get("QUERY_STRING", ""))) is not None:
            photo_request = self._read_photo_request(path)
            response.data, response.content_type = draw(initials, photo_request.subject, photo_request.size), MIME_TYPE
            response.headers.add(*SANDBOX)
        return response

    def _answer_method(self) -> Response:
        if self.method != "OPTIONS":
            raise MethodNotAllowed(METHODS)
        return Response(headers=PREFLIGHT)

    def _is_enough(self, ready: Answer) -> bool:
        """False if the cache holds only the ETag, and the client has other bytes."""
        return ready.body is not None or is_known(ready.etag, self.known)

    def _look_or_serve(self, photo_request: PhotoRequest) -> Iterable[bytes]:
        """Answer from Redis; from a stale cached answer while Redis is away."""
        try:
            return self._look(photo_request)
        except RedisError as error:
            ready = self.context.cache.get_stale(photo_request)
            if ready is None or not is_away(error) or not self._is_enough(ready):
                raise
            return self._serve(photo_request, ready, was_hit=True)

    def _look(self, photo_request: PhotoRequest) -> Iterable[bytes]:
        """Answer from Redis, after a wait if nothing is stored. Raises Problem: 404, 503."""
        self.context.listener.ensure_started()
        look = PhotoLookup(self.app, self.context, photo_request, self.known)
        generation, read_at = self.context.cache.get_generation(), self.context.clock()
        found = look.now()
        looked_at = self.context.clock()
        self.timings = f"redis;dur={(looked_at - read_at) * 1000:.1f}, "
        was_hit = found is not None
        if found is None:
            found = look.until_ready()
            self.timings += f"wait;dur={(self.context.clock() - looked_at) * 1000:.1f}, "
        if isinstance(found, Hit):
            tags = {photo_request.subject, *found.shown}
            answer = finish(photo_request, found.variant, found.format, common=self.common, read_at=read_at, tags=tags)
            if was_hit and found.is_newest:
                self.context.cache.put(photo_request, answer, generation)
            return self._serve(photo_request, answer, was_hit=was_hit)
        if isinstance(found, Unavailable):
            self.context.cache.drop(photo_request)
            announce(
                photo_not_found,
                self.app,
                subject=photo_request.subject,
                kind=photo_request.kind,
                method=self.method,
                seconds=self.context.clock() - self.started,
                request_id=self.request_id,
            )
            raise Problem(404, "no photo", headers={"Cache-Control": ABSENT_CACHE})
        raise Problem(503, "the picture is not ready yet", headers={"Retry-After": "1"})

    def _serve(self, photo_request: PhotoRequest, answer: Answer, *, was_hit: bool) -> Iterable[bytes]:
        """200 or 304."""
        is_same = self.known is not None and is_known(answer.etag, self.known)
        status, headers = ("304 NOT MODIFIED", answer.headers_of_304) if is_same else ("200 OK", answer.headers)
        seconds = self.context.clock() - self.started
        announce(
            photo_served,
            self.app,
            subject=photo_request.subject,
            kind=photo_request.kind,
            status=status[:3],
            seconds=seconds,
            was_hit=was_hit,
            method=self.method,
            request_id=self.request_id,
        )
        self.start_response(status, [*headers, HIT if was_hit else MISS, *self._list_own_headers(seconds)])
        return () if is_same or answer.body is None or self.method == "HEAD" else (answer.body,)

    def _send(self, response: Response, path: str) -> Iterable[bytes]:
        """Any other answer."""
        seconds = self.context.clock() - self.started
        announce(
            photo_not_served,
            self.app,
            kind=PREFIXES[path[:PREFIX_LENGTH]],
            status=response.status_code,
            method=self.method,
            seconds=seconds,
            request_id=self.request_id,
        )
        response.headers.extend([*self.common, NO_SNIFFING, *self._list_own_headers(seconds)])
        return response(self.environ, self.start_response)

    def _list_own_headers(self, seconds: float) -> Headers:
        """The headers that differ from answer to answer."""
        milliseconds = f"{seconds * 1000:.1f}"
        return [
            (HEADER, self.request_id),
            ("X-Response-Time", f"{milliseconds}ms"),
            ("Server-Timing", f"{self.timings}total;dur={milliseconds}"),
        ]
