"""One request for a picture, and its answer. It knows neither WSGI nor a server."""

from __future__ import annotations

from typing import NoReturn

from flask import Flask
from redis.exceptions import RedisError
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response

from warmer.photo import Unavailable
from warmer.redis_errors import is_away
from warmer.request_id import working_for
from web.photos.cache import Answer, Headers
from web.photos.context import PhotoContext
from web.photos.lookup import PhotoLookup
from web.photos.placeholder import MIME_TYPE, draw
from web.photos.request import PREFIX_LENGTH, PREFIXES, PhotoRequest, RawRequest, read_choice
from web.photos.response import (
    ABSENT_CACHE,
    HIT,
    MISS,
    NO_SNIFFING,
    SANDBOX,
    Reply,
    is_enough,
    is_known,
    list_own_headers,
    to_reply,
)
from web.problems import Problem, to_problem, to_response
from web.signals import announce, photo_not_found, photo_not_served, photo_overloaded, photo_served

METHODS = ["GET", "HEAD", "OPTIONS"]
PREFLIGHT = {
    "Allow": ", ".join(METHODS),
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "*",
}


class Exchange:
    """One request for a picture, and its answer."""

    __slots__ = ("app", "common", "context", "raw", "request_id", "started", "timings")

    def __init__(self, app: Flask, context: PhotoContext, common: Headers, raw: RawRequest) -> None:
        """`app` is the sender of the signals. `common`: the headers of every answer of the photo routes."""
        self.context = context
        self.started = context.clock()
        self.app = app
        self.common = common
        self.raw = raw
        self.request_id = context.request_ids.choose(raw.request_id)
        self.timings = ""  # for Server-Timing

    def answer(self) -> Reply:
        """Answer the request. This thread waits for a picture that is not stored."""
        try:
            if self.raw.method != "GET" and self.raw.method != "HEAD":
                return self._finish(self._answer_method())
            photo_request = self.read()
            ready = self.find_ready(photo_request)
            if ready is not None:
                return self.serve(photo_request, ready, was_hit=True)
            with working_for(self.request_id):
                return self._look_or_serve(photo_request)
        except Exception as error:  # noqa: BLE001 - every error gets an answer, as with Flask's routes
            return self.refuse(error)

    def read(self) -> PhotoRequest:
        """Return the picture that is requested. Raises Problem: 403, 400."""
        raw = self.raw
        return self.context.request_parser.read(raw.path, raw.query, raw.accept)

    def find_ready(self, photo_request: PhotoRequest) -> Answer | None:
        """Returns the answer in the response cache, or None if there is none with all that this request needs."""
        ready = self.context.cache.get(photo_request)
        return ready if ready is not None and is_enough(ready, (self.raw.if_none_match,)) else None

    def find_stale(self, photo_request: PhotoRequest, error: RedisError) -> Answer | None:
        """Returns the answer that may be served while Redis is away, or None if there is none."""
        stale = self.context.cache.get_stale(photo_request)
        is_usable = stale is not None and is_away(error) and is_enough(stale, (self.raw.if_none_match,))
        return stale if is_usable else None

    def serve(self, photo_request: PhotoRequest, answer: Answer, *, was_hit: bool) -> Reply:
        """Answer 200, or 304 if the client has these bytes."""
        is_same = is_known(answer.etag, self.raw.if_none_match)
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
            method=self.raw.method,
            request_id=self.request_id,
        )
        own = list_own_headers(self.request_id, seconds, self.timings)
        has_body = not is_same and self.raw.method != "HEAD"
        return Reply(status, [*headers, HIT if was_hit else MISS, *own], (answer.body or b"") if has_body else b"")

    def refuse(self, error: Exception) -> Reply:
        """Give any answer but 200 and 304."""
        return self._finish(self._format_error(error))

    def answer_500(self) -> Reply:
        """Answer 500 without a body, if even the answer to an error failed. Sends no signal."""
        own = list_own_headers(self.request_id, self.context.clock() - self.started, self.timings)
        headers = [("Content-Length", "0"), ("Cache-Control", "no-store"), *self.common, NO_SNIFFING, *own]
        return Reply("500 INTERNAL SERVER ERROR", headers, b"")

    def raise_absent(self, photo_request: PhotoRequest) -> NoReturn:
        """Refuse: there is no such picture. The answer is the same for every cause. Raises Problem: 404."""
        announce(
            photo_not_found,
            self.app,
            subject=photo_request.subject,
            kind=photo_request.kind,
            method=self.raw.method,
            seconds=self.context.clock() - self.started,
            request_id=self.request_id,
        )
        cache_tag = self.context.cache_tags.format(photo_request.subject)
        raise Problem(404, "no photo", headers=dict([("Cache-Control", ABSENT_CACHE), cache_tag]))

    def raise_overloaded(self, photo_request: PhotoRequest) -> NoReturn:
        """Refuse: no worker will process the picture soon. Raises Problem: 503."""
        announce(photo_overloaded, self.app, subject=photo_request.subject)
        raise not_ready()

    def _answer_method(self) -> Response:
        if self.raw.method != "OPTIONS":
            raise MethodNotAllowed(METHODS)
        return Response(headers=PREFLIGHT)

    def _look_or_serve(self, photo_request: PhotoRequest) -> Reply:
        """Answer from Redis; from a stale cached answer while Redis is away."""
        try:
            return self._look(photo_request)
        except RedisError as error:
            if (stale := self.find_stale(photo_request, error)) is None:
                raise
            return self.serve(photo_request, stale, was_hit=True)

    def _look(self, photo_request: PhotoRequest) -> Reply:
        """Answer from Redis, after a wait if nothing is stored. Raises Problem: 404, 503."""
        clock, validators = self.context.clock, (self.raw.if_none_match,)
        lookup = PhotoLookup(self.app, self.context, photo_request, self.common)
        started = clock()
        found = lookup.read(validators)
        looked_at = clock()
        self.timings = f"redis;dur={(looked_at - started) * 1000:.1f}, "
        was_hit = found is not None
        if found is None:
            found = lookup.until_ready(validators)
            self.timings += f"wait;dur={(clock() - looked_at) * 1000:.1f}, "
        if isinstance(found, Answer):
            return self.serve(photo_request, found, was_hit=was_hit)
        if isinstance(found, Unavailable):
            self.raise_absent(photo_request)
        raise not_ready()

    def _format_error(self, error: Exception) -> Response:
        """Make a problem document, or the placeholder that the URL chooses if the picture is missing or not ready."""
        with working_for(self.request_id):
            response = to_response(to_problem(error))
        if response.status_code not in (404, 503):
            return response
        if (initials := read_choice(self.raw.query)) is not None:
            photo_request = self.read()
            response.data, response.content_type = draw(initials, photo_request.subject, photo_request.size), MIME_TYPE
            response.headers.add(*SANDBOX)
        return response

    def _finish(self, response: Response) -> Reply:
        seconds = self.context.clock() - self.started
        announce(
            photo_not_served,
            self.app,
            kind=PREFIXES[self.raw.path[:PREFIX_LENGTH]],
            status=response.status_code,
            method=self.raw.method,
            seconds=seconds,
            request_id=self.request_id,
        )
        own = list_own_headers(self.request_id, seconds, self.timings)
        response.headers.extend([*self.common, NO_SNIFFING, *own])
        return to_reply(response, self.raw.method)


def not_ready() -> Problem:
    """Make the 503 that lets the client come back in a second."""
    return Problem(503, "the picture is not ready yet", headers={"Retry-After": "1"})
