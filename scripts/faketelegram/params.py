"""Reads a request: its body, and its parameters in the query, as a form, as JSON, or as multipart."""

import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import werkzeug
from werkzeug.exceptions import BadRequest
from werkzeug.serving import DechunkedInput

from faketelegram.replies import BadRequestError

MAX_BODY = 20 * 1024 * 1024  # bytes


class Params(dict[str, str]):
    """Parameters as texts, and the uploaded files by the names of their parts."""

    def __init__(self, texts: Mapping[str, str], uploads: Mapping[str, bytes] | None = None) -> None:
        super().__init__(texts)
        self.uploads = dict(uploads or {})


class Request(werkzeug.Request):
    """A request whose body is read. Raises HTTPException if the body does not match its headers."""

    max_content_length = max_form_memory_size = MAX_BODY

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        stream: Any = handler.rfile
        length = handler.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,18}", length):  # Werkzeug reads it as 0: the body would be the next request
            raise BadRequest("Content-Length")
        environ = {
            "REQUEST_METHOD": handler.command,
            "QUERY_STRING": handler.path.partition("?")[2],
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": length,
            "wsgi.input": stream,
        }
        if "chunked" in handler.headers.get("Transfer-Encoding", "").lower():
            environ |= {"wsgi.input": DechunkedInput(stream), "wsgi.input_terminated": True}
        super().__init__(environ)
        self.get_data()

    def read_params(self) -> Params:
        """Returns all parameters; the body wins over the query. Raises HTTPException."""
        texts = dict([*self.args.items(multi=True), *self.form.items(multi=True)])
        values = self.get_json() if self.is_json and self.data else {}
        if not isinstance(values, dict):
            raise BadRequest("The JSON is no object.")
        texts |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        return Params(texts, {name: file.read() for name, file in self.files.items()})


def read_json(params: Mapping[str, str], name: str, complaint: str) -> Any:
    """Return the parameter's value. Returns None if it is missing or empty. Raises BadRequestError."""
    text = params.get(name, "")
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise BadRequestError(complaint) from None


def read_allowed_updates(params: Mapping[str, str]) -> list[object] | None:
    """Return the kinds of updates that the bot asks for. Returns None if the setting stays. Raises BadRequestError."""
    allowed = read_json(params, "allowed_updates", "can't parse allowed_updates JSON object")
    return allowed if isinstance(allowed, list) else None


def leading_number(value: str) -> int:
    """Read a number as the real server does: leading digits count, anything else is 0."""
    digits = re.match(r"-?[0-9]{1,18}", value)
    return int(digits[0]) if digits else 0
