"""The names `recent` and `me` in place of an id."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

ALLOWED = {
    "recent": {"GET", "HEAD", "OPTIONS"},
    "me": {"GET", "HEAD", "OPTIONS", "POST", "DELETE"},
    "42": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
    "men": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_options_lists_the_methods_of_a_path(client: FlaskClient, name: str) -> None:
    answer = client.options(f"/api/partner/{name}")
    assert (answer.status_code, set(answer.allow)) == (200, ALLOWED[name])


@pytest.mark.parametrize(("method", "name"), [("PUT", "me"), ("PUT", "recent"), ("DELETE", "recent"), ("POST", "42")])
def test_other_methods_are_405(client: FlaskClient, as_server: dict[str, str], method: str, name: str) -> None:
    answer = client.open(f"/api/partner/{name}", method=method, json={"name": "Ann"}, headers=as_server)
    assert (answer.status_code, set(answer.allow)) == (405, ALLOWED[name])
