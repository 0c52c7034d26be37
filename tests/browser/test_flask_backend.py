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


def test_users_with_a_photo_show_it_and_a_user_without_shows_initials(
    service: Service, page: Page, tmp_path: Path
) -> None:
    ann, bob, eve = next_id(), next_id(), next_id()
    assert service.telegram
    service.telegram.world.add_user(ann, "Ann")
    service.telegram.world.add_user(bob, "Bob")
    service.telegram.world.add_user(eve, "Eve", picture=None)
    wait_until(lambda: statuses(service, ann, bob, eve) == ["ready", "ready", "none"])
    answers: list[int] = []
    page.on("response", lambda answer: answers.append(answer.status) if "/api/photos/" in answer.url else None)

    def shows_both() -> bool:
        """Reload like a person would: a busy service may answer too late for one page load."""
        answers.clear()
        page.goto(url)
        page.wait_for_function("[...document.images].every((one) => one.complete)")
        return answers == [200, 200]

    users = {ann: "Ann Lee", bob: "Bob Ray", eve: "Eve (Evi) Orr"}
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        wait_until(shows_both)
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
    shown: list[Response] = []
    page.on("response", lambda answer: shown.append(answer) if "/api/photos/" in answer.url else None)
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        wait_until(lambda: page.goto(url) and shown)  # a busy service may be too late for one page load
        assert shown[-1].status in (404, 503)
        assert shown[-1].headers["content-type"] == "image/svg+xml"
        assert ">DO</text>" in shown[-1].text()
