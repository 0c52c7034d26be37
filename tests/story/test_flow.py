"""The whole service over its public HTTP contract: real gunicorn, workers, beat and Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests

from faketelegram import FakeTelegram
from tests.conftest import SIGNING_KEY, wait_until
from tests.support.faults import count_picture_calls
from tests.support.running import REQUEST_SECONDS, Service, await_picture
from tests.support.web_parts import as_user
from warmer.photo_urls import sign

_ids = count(100_000)


@pytest.fixture
def fake(service: Service) -> FakeTelegram:
    assert service.telegram
    service.telegram.reset()
    return service.telegram


def add_people(fake: FakeTelegram, number: int) -> dict[int, str]:
    """Add people with drawn pictures. Returns their file ids by user id."""
    people = {}
    for user_id in (next(_ids) for _ in range(number)):
        fake.world.add_user(user_id, f"Person {user_id}")
        people[user_id] = fake.world.file_id(user_id, 320)
    fake.world.draw_all()
    return people


def put_all(service: Service, people: dict[int, str]) -> list[dict[str, Any]]:
    answers = []
    for user_id, file_id in people.items():
        body = {"name": f"Person {user_id}", "photo_file_id": file_id}
        answers.append(service.ask("PUT", f"/api/partner/{user_id}", json=body).json())
    return answers


def wait_until_ready(service: Service, *ids: int) -> None:
    def are_ready() -> bool:
        listed = service.ask("GET", "/api/partner/recent?limit=100").json()["partners"]
        return set(ids) <= {partner["id"] for partner in listed if partner["photo_ready"]}

    wait_until(are_ready)


def register_ready(service: Service, fake: FakeTelegram) -> dict[str, Any]:
    """Register a new partner, wait until the picture is warm, and return the Partner."""
    (partner,) = put_all(service, add_people(fake, 1))
    wait_until_ready(service, partner["id"])
    return partner


def photo_path(file_id: str, size: int = 160) -> str:
    return f"/api/photos/file/{file_id}?size={size}&sig={sign(SIGNING_KEY, f'file:{file_id}')}"


def test_six_registered_partners_are_warm_before_anyone_asks(service: Service, fake: FakeTelegram) -> None:
    people = add_people(fake, 6)
    put_all(service, people)
    wait_until_ready(service, *people)
    assert count_picture_calls(fake) == {"getFile": 6, "download": 6}


def test_a_stored_picture_is_served_and_then_revalidated_with_304(service: Service, fake: FakeTelegram) -> None:
    url = register_ready(service, fake)["photo_url"]
    first = service.get(url)
    again = service.get(url, **{"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/webp")
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["Cache-Status"] == "avatar-warmer; hit"


def test_a_client_without_webp_gets_a_jpeg_without_another_telegram_call(service: Service, fake: FakeTelegram) -> None:
    partner = register_ready(service, fake)
    calls = count_picture_calls(fake)
    answer = service.get(partner["photo_url"], Accept="image/jpeg")
    assert (answer.status_code, answer.headers["Content-Type"], answer.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert count_picture_calls(fake) == calls


def test_400_clients_of_one_cold_photo_cause_one_fetch_and_all_get_it(service: Service, fake: FakeTelegram) -> None:
    (file_id,) = add_people(fake, 1).values()
    statuses: list[int] = []

    def get(number: int) -> int:
        def send() -> requests.Response:
            answer = requests.get(service.url + photo_path(file_id), headers=headers, timeout=REQUEST_SECONDS)
            statuses.append(answer.status_code)
            return answer

        headers = {"Accept": "image/webp" if number % 2 else "image/jpeg"}
        return await_picture(send).status_code

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(get, range(400))) == [200] * 400
    assert set(statuses) <= {200, 503}
    assert count_picture_calls(fake) == {"getFile": 1, "download": 1}


def test_after_a_delete_every_url_answers_404_without_a_telegram_call(service: Service, fake: FakeTelegram) -> None:
    partner = register_ready(service, fake)
    urls = [part.split()[0] for part in partner["photo_srcset"].split(", ")]
    urls.append(f"/api/photos/user/{partner['id']}?size=80&sig={sign(SIGNING_KEY, 'user:' + str(partner['id']))}")
    assert service.ask("DELETE", f"/api/partner/{partner['id']}").status_code == 204
    fake.reset()
    assert [service.get(url).status_code for url in urls] == [404] * len(urls)
    assert not count_picture_calls(fake)


def test_a_partner_without_a_file_id_gets_the_photo_of_the_profile(service: Service, fake: FakeTelegram) -> None:
    (user_id,) = add_people(fake, 1)
    service.ask("PUT", f"/api/partner/{user_id}", json={"name": "Ann"})
    wait_until_ready(service, user_id)
    assert count_picture_calls(fake) == {"getUserProfilePhotos": 1, "getFile": 1, "download": 1}
    assert service.ask("GET", f"/api/partner/{user_id}").json()["photo_file_id"] == fake.world.file_id(user_id, 320)


def test_the_beat_retries_after_a_temporary_telegram_error(service: Service, fake: FakeTelegram) -> None:
    people = add_people(fake, 1)
    fake.fail("getFile", "bad-gateway", times=1)
    put_all(service, people)
    wait_until_ready(service, *people)
    assert fake.calls["getFile"] == 2


def test_metrics_report_hits_telegram_calls_queue_length_and_warm_duration(
    service: Service, fake: FakeTelegram
) -> None:
    service.get(register_ready(service, fake)["photo_url"])
    names = (
        'avatar_photos_total{result="hit"}',
        'avatar_upstream_calls_total{method="getFile",outcome="200"}',
        'avatar_queue_length{queue="hot"}',
        "avatar_warm_step_seconds_count",
    )
    wait_until(lambda: not [name for name in names if name not in service.ask("GET", "/metrics").text])


def test_a_user_who_changed_the_photo_and_opens_the_app_soon_gets_the_new_one(
    service: Service, fake: FakeTelegram
) -> None:
    (user_id,) = add_people(fake, 1)
    path = f"/api/partner/{user_id}"
    service.ask("PUT", path, json={"name": "Ann"})
    wait_until_ready(service, user_id)
    old = service.ask("GET", path).json()["photo_version"]
    fake.world.change_photo(user_id)
    url = service.url + "/api/partner/me"
    opened = requests.post(url, headers=as_user(user_id), timeout=REQUEST_SECONDS)
    assert opened.status_code == 200
    wait_until(lambda: service.ask("GET", path).json()["photo_version"] != old)
    wait_until_ready(service, user_id)
