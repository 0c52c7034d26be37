"""The routes for programs in another process."""

from __future__ import annotations

import pytest
import requests

from faketelegram import FakeTelegram
from tests.scripts.faketelegram.calling import PATIENCE, get_file, make_png


def test_faults_and_counters_can_be_controlled_over_http(fake: FakeTelegram) -> None:
    control = f"{fake.url}/_fake"
    wanted = {"method": "getFile", "fault": "too-many-requests", "times": "forever", "retry_after": 3}
    assert requests.post(f"{control}/faults", json=wanted, timeout=PATIENCE).json() == [wanted]
    assert get_file(fake, "any")["parameters"] == {"retry_after": 3}
    assert requests.delete(f"{control}/faults", timeout=PATIENCE).json() == []
    assert requests.get(f"{control}/calls", timeout=PATIENCE).json() == {"getFile": 1}
    assert requests.get(f"{control}/traffic", timeout=PATIENCE).json()["max_in_flight"] == 1
    requests.delete(f"{control}/calls", timeout=PATIENCE)
    assert fake.calls == {}


def test_people_and_photos_can_be_changed_over_http(fake: FakeTelegram) -> None:
    people = f"{fake.url}/_fake/users"
    added = requests.post(people, json={"id": 43, "first_name": "Bob", "photo": False}, timeout=PATIENCE)
    assert (added.status_code, added.json()["file_ids"]) == (201, {})
    drawn = requests.post(f"{people}/43/photo", timeout=PATIENCE).json()["file_ids"]["320"]
    given = requests.post(f"{people}/43/photo", data=make_png(), timeout=PATIENCE).json()["file_ids"]["320"]
    assert drawn != given == fake.world.file_id(43)
    assert requests.delete(f"{people}/43/photo", timeout=PATIENCE).json()["file_ids"] == {}
    assert [one["name"] for one in requests.get(people, timeout=PATIENCE).json()] == ["Ann Lee", "Bob"]
    assert [one["id"] for one in requests.delete(f"{people}/43", timeout=PATIENCE).json()] == [42]


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("users", b"{", 422, "body"),
        ("users", b"[]", 422, "body"),
        ("users", b'{"first_name": "Bob"}', 422, "id"),
        ("users", b'{"id": 0, "first_name": "Bob"}', 422, "id"),
        ("users", b'{"id": 42, "first_name": "Ann"}', 422, "id"),
        ("users", b'{"id": 43}', 422, "first_name"),
        ("users", b'{"id": 43, "first_name": "Bob", "photo": "?"}', 422, "photo"),
        ("users", b'{"id": 43, "first_name": "Bob", "age": 7}', 422, "age"),
        ("users", b'{"id": -43, "title": "Us", "kind": "private"}', 422, "kind"),
        ("users/42/photo", b"no image", 422, "photo"),
        ("users/43/photo", b"", 404, "id"),
        ("users/43/messages", b"Hi", 404, "id"),
        ("users/42/messages", b"", 422, "text"),
        ("users/42/photo/announcements", b"", 422, "id"),
        ("users/-43/photo/announcements", b"", 404, "id"),
        ("faults", b'{"fault": "hang"}', 422, "method"),
        ("nothing", b"", 404, None),
    ],
)
def test_invalid_input_is_rejected_with_the_name_of_its_field(
    fake: FakeTelegram, path: str, body: bytes, code: int, field: str | None
) -> None:
    answer = requests.post(f"{fake.url}/_fake/{path}", data=body, timeout=PATIENCE)
    assert (answer.status_code, answer.json().get("field")) == (code, field)
