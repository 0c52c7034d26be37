"""Requests to our own server."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT = 5.0  # seconds


def ask(url: str, *, method: str = "GET", body: Any = None, api_key: str = "") -> tuple[int, Any]:
    """Return the status and the JSON of the answer. Returns 0 and None if there is no usable answer."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with requests.Session() as session:
        session.trust_env = False  # ignores proxies in the environment
        try:
            answer = session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)
            return answer.status_code, answer.json() if answer.ok else None
        except requests.RequestException:
            return 0, None
