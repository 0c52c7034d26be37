"""`avatar-warmer init-data`"""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.conftest import next_id
from tests.support.cli_parts import answer, call


def print_header(*words: str) -> dict[str, str]:
    """Returns the header that the command prints."""
    name, _, value = call("init-data", *words).stdout.rstrip("\n").partition(": ")
    return {name: value}


def test_the_printed_header_signs_in_as_that_person(client: FlaskClient) -> None:
    user_id = next_id()
    header = print_header("--user", str(user_id), "--name", "Ann Lee")
    partner = client.post("/api/partner/me", headers=header).json
    assert (partner["id"], partner["name"]) == (user_id, "Ann Lee")  # type: ignore[index]  # a wrong header has no JSON


def test_the_printed_header_may_be_too_old(client: FlaskClient) -> None:
    header = print_header("--user", "42", "--age", "100000")
    assert client.get("/api/partner/recent", headers=header).status_code == 401


def test_as_json_it_is_one_object_with_the_header(client: FlaskClient) -> None:
    header = answer("init-data", "--user", "42", "--json")
    assert client.get("/api/partner/recent", headers=header).status_code == 200
