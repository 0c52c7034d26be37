"""The example Flask backend, a process of its own, beside the whole running service and beside one that is away."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page

from runner.ports import free_loopback_port
from tests.conftest import next_id, wait_until
from tests.support.running import ROOT, Service

pytest_plugins = ["tests.support.page_fixtures"]

BACKEND = ROOT / "examples" / "flask-backend"
FLASK = [sys.executable, "-m", "flask", "--app", "app"]
Start = Callable[[str, dict[int, str]], AbstractContextManager[str]]


@pytest.fixture
def backend(service: Service, tmp_path: Path) -> Start:
    """Starts the example for an avatar service at this URL, with these users; gives its own URL."""

    @contextmanager
    def start(avatars_url: str, users: dict[int, str]) -> Iterator[str]:
        said = {"AVATARS_URL": avatars_url, "AVATAR_API_KEY": service.api_key}
        environment = os.environ | said | {"DATABASE_URL": f"sqlite:///{tmp_path}/users.db"}
        lines = "".join(f"{telegram_id},{name}\n" for telegram_id, name in users.items())
        subprocess.run([*FLASK, "add-users"], cwd=BACKEND, env=environment, input=lines, text=True, check=True)
        port, log = free_loopback_port(), tmp_path / "backend.log"
        run = [*FLASK, "run", "--port", str(port)]
        with log.open("w") as out, subprocess.Popen(run, cwd=BACKEND, env=environment, stdout=out, stderr=out) as it:
            try:
                wait_until(lambda: "Running on" in log.read_text() or it.poll() is not None, 30)
                assert it.poll() is None, log.read_text()
                yield f"http://127.0.0.1:{port}/"
            finally:
                it.terminate()

    return start


def read_page(url: str) -> str:
    return requests.get(url, timeout=10).text


def count_pictures(page: str) -> int:
    return len(re.findall("<img ", page))


def statuses(service: Service, *ids: int) -> list[str]:
    photos: dict[str, Any] = service.call("POST", "/api/photos/resolve", json={"ids": ids}).json()["photos"]
    return [photos[str(one)]["status"] for one in ids]


def test_users_have_their_pictures_and_one_without_has_initials(service: Service, backend: Start, page: Page) -> None:
    ann, bob, eve = next_id(), next_id(), next_id()
    assert service.telegram
    service.telegram.world.add_user(ann, "Ann")
    service.telegram.world.add_user(bob, "Bob")
    service.telegram.world.add_user(eve, "Eve", picture=None)
    wait_until(lambda: statuses(service, ann, bob, eve) == ["ready", "ready", "none"], 20)
    answers: list[int] = []
    page.on("response", lambda answer: answers.append(answer.status) if "/api/photos/" in answer.url else None)
    with backend(service.url, {ann: "Ann Lee", bob: "Bob Ray", eve: "Eve (Evi) Orr"}) as url:
        page.goto(url)
        page.wait_for_function("[...document.images].every((one) => one.complete)")
        widths = page.locator("img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert answers == [200, 200]
    assert len(widths) == 2
    assert all(width > 0 for width in widths)
    assert [text.split() for text in page.get_by_role("listitem").all_inner_texts()] == [
        ["Ann", "Lee"],
        ["Bob", "Ray"],
        ["EO", "Eve", "(Evi)", "Orr"],
    ]


def test_a_picture_that_is_not_there_shows_the_initials_that_the_service_draws(
    service: Service, backend: Start, page: Page
) -> None:
    hidden = next_id()
    assert service.telegram
    service.telegram.world.add_user(hidden, "Dan", picture=None)
    with backend(service.url, {hidden: "dan o'neill"}) as url, page.expect_response("**/api/photos/**") as answer:
        page.goto(url)
    assert answer.value.status in (404, 503)
    assert answer.value.headers["content-type"] == "image/svg+xml"
    assert ">DO</text>" in answer.value.text()


def test_more_users_than_fit_into_one_question_all_have_a_picture(service: Service, backend: Start) -> None:
    shown = next_id()
    assert service.telegram
    service.telegram.world.add_user(shown, "Ann")
    pinned = {"name": "Ann", "photo_file_id": service.telegram.world.file_id(shown)}  # one picture for all of them
    users = {next_id(): f"User {number}" for number in range(101)}
    for user in users:
        assert service.call("PUT", f"/api/partner/{user}", json=pinned).status_code == 201
    with backend(service.url, users) as url:
        assert count_pictures(read_page(url)) == 101
    for user in users:
        service.call("DELETE", f"/api/partner/{user}")


def test_names_come_when_nothing_listens_there(backend: Start) -> None:
    with backend(f"http://127.0.0.1:{free_loopback_port()}", {42: "Ann Lee"}) as url:
        page = read_page(url)
    assert "Ann Lee" in page
    assert ">AL<" in page
    assert count_pictures(page) == 0


def test_a_service_that_does_not_answer_holds_the_page_up_once(backend: Start) -> None:
    users = {next_id(): f"User {number}" for number in range(201)}  # three questions, if each were asked
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, backend(f"http://127.0.0.1:{silent.getsockname()[1]}", users) as url:
        started = time.monotonic()
        page = read_page(url)
    assert 2 <= time.monotonic() - started < 4
    assert page.count("User ") == 201
