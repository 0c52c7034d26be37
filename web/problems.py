"""Errors as `application/problem+json` (RFC 9457), and Redis away as 503."""

from __future__ import annotations

import json
import logging
from typing import Any, TypeVar

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge, ServiceUnavailable
from werkzeug.http import HTTP_STATUS_CODES

from warmer.redis_errors import is_away

Model = TypeVar("Model", bound=BaseModel)
MAX_BODY_BYTES = 64 * 2**10
log = logging.getLogger(__name__)
OWN_HEADERS = ("Content-Type", "Content-Length")


class Problem(HTTPException):
    """An error answer: status, one sentence, and the wrong fields."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.errors = errors
        self.headers = headers or {}


def init_app(app: Flask) -> None:
    """Answer every error of this app as a problem."""

    @app.errorhandler(RedisError)
    @app.errorhandler(HTTPException)
    def answer_error(error: HTTPException | RedisError) -> Response:
        return to_response(to_problem(error))


def to_problem(error: BaseException) -> HTTPException:
    """Return the error as the client sees it: its own, or Redis away. Any other is logged, and shown without detail."""
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, RedisError) and is_away(error):
        return ServiceUnavailable("the store is away, try again soon", retry_after=1)
    log.error("internal error", exc_info=error)
    return InternalServerError()


def to_response(error: HTTPException) -> Response:
    """Return the problem document of an error. Its `detail` is the one public sentence."""
    status = error.code or 500
    body: dict[str, Any] = {"type": "about:blank", "title": HTTP_STATUS_CODES.get(status, "Error"), "status": status}
    if error.description:
        body["detail"] = error.description
    if isinstance(error, Problem) and error.errors:
        body["errors"] = error.errors
    response = Response(json.dumps(body) + "\n", status, mimetype="application/problem+json")
    # Keep the headers that werkzeug sets for the error, such as Allow of a 405, but not those of its HTML.
    response.headers.extend((name, value) for name, value in error.get_headers() if name not in OWN_HEADERS)
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(getattr(error, "headers", {}))
    return response


def parse_body(model: type[Model]) -> Model:
    """Return the JSON body. Raises Problem: 415, 413 over 64 KiB, 400 unparsable, 422 with each wrong field."""
    if request.mimetype != "application/json":
        raise Problem(415, "the body must be application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "the body must not be encoded", headers={"Accept-Encoding": "identity"})
    body = _read_body()
    try:
        from_json(body, allow_inf_nan=False)  # a model would take NaN and Infinity for JSON
    except ValueError:
        raise Problem(400, "the body is not JSON") from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        lines = error.errors(include_url=False, include_input=False, include_context=False)
    errors = [
        {"field": ".".join(map(str, line["loc"])) or "body", "message": line["msg"].removeprefix("Value error, ")}
        for line in lines
    ]
    raise Problem(422, "; ".join(f"{line['field']}: {line['message']}" for line in errors), errors)


def _read_body() -> bytes:
    if (request.content_length or 0) > MAX_BODY_BYTES:  # before a client that waits is asked for it
        raise RequestEntityTooLarge
    try:
        body = request.get_data()
    except ParseException as error:  # gunicorn reads a chunked body only here
        raise Problem(400, "the chunks of the body are malformed") from error
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(body) < (request.content_length or 0):
        raise Problem(400, "the body ended early")
    return body
