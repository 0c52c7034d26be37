"""The page of the example Flask backend, beside the whole running service."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Response

from tests.conftest import next_id
from tests.support.flask_backend import run_backend
from tests.support.running import Service
from tests.support.waiting import wait_until


def statuses(service: Service, *ids: int) -> list[str]:
    photos = service.ask("POST", "/api/photos/resolve", json={"ids": ids}).json()["photos"]
    return [photos[str(one)]["status"] for one in ids]


def note_pictures(page: Page) -> list[Response]:
    """Returns a list that gets each answer to the request of a picture."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/api/photos/" in answer.url else None)
    return answers


def load(page: Page, url: str, answers: list[Response]) -> list[int]:
    """Load it again, as a person does if a busy service is too late once. Returns the statuses of its pictures."""
    answers.clear()
    page.goto(url)
    page.wait_for_function("[...document.images].every((one) => one.complete)")
    return [answer.status for answer in answers]


def test_users_with_a_photo_show_it_and_a_user_without_shows_initials(
    service: Service, page: Page, tmp_path: Path
) -> None:
    ann, bob, eve = next_id(), next_id(), next_id()
    assert service.telegram
    service.telegram.world.add_user(ann, "Ann")
    service.telegram.world.add_user(bob, "Bob")
    service.telegram.world.add_user(eve, "Eve", picture=None)
    wait_until(lambda: statuses(service, ann, bob, eve) == ["ready", "ready", "none"])
    answers = note_pictures(page)
    users = {ann: "Ann Lee", bob: "Bob Ray", eve: "Eve (Evi) Orr"}
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        wait_until(lambda: load(page, url, answers) == [200, 200])
        widths = page.locator("img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert len(widths) == 2
    assert all(width > 0 for width in widths)
    assert [text.split() for text in page.get_by_role("listitem").all_inner_texts()] == [
        ["Ann", "Lee"],
        ["Bob", "Ray"],
        ["EO", "Eve", "(Evi)", "Orr"],
    ]


def test_a_missing_picture_shows_the_initials_that_the_service_draws(
    service: Service, page: Page, tmp_path: Path
) -> None:
    hidden = next_id()
    assert service.telegram
    service.telegram.world.add_user(hidden, "Dan", picture=None)
    users = {hidden: "dan o'neill"}
    answers = note_pictures(page)
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        assert wait_until(lambda: load(page, url, answers))[0] in (404, 503)
        assert answers[0].headers["content-type"] == "image/svg+xml"
        assert ">DO</text>" in answers[0].text()
