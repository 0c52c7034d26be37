"""Requests to our own server."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

TIMEOUT = 5.0  # seconds

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores proxies in the environment


def ask(url: str, *, method: str = "GET", body: Any = None, api_key: str = "") -> tuple[int, Any]:
    """The status and the JSON of the answer; 0 and None if there is no answer."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - http to ourselves
    if api_key:
        request.add_header("Authorization", f"Bearer {api_key}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with _opener.open(request, timeout=TIMEOUT) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except (OSError, http.client.HTTPException):
        return 0, None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
