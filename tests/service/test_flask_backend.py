"""The example Flask backend, a process of its own, beside the whole running service and beside one that is away."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import requests

from runner.ports import free_loopback_port
from tests.conftest import next_id
from tests.support.flask_backend import run_backend
from tests.support.running import REQUEST_SECONDS, Service
from tests.support.waiting import wait_until


def read_page(url: str) -> str:
    return requests.get(url, timeout=REQUEST_SECONDS).text


def count_pictures(page: str) -> int:
    return len(re.findall("<img ", page))


def count_connections(server: socket.socket) -> int:
    """Those that were made to it, and not accepted yet."""
    server.setblocking(False)
    accepted = []
    try:
        while True:
            accepted.append(server.accept()[0])
    except BlockingIOError:
        return len(accepted)
    finally:
        for connection in accepted:
            connection.close()


def test_more_users_than_fit_into_one_question_all_have_a_picture(service: Service, tmp_path: Path) -> None:
    shown = next_id()
    assert service.telegram
    service.telegram.world.add_user(shown, "Ann")
    pinned = {"name": "Ann", "photo_file_id": service.telegram.world.file_id(shown)}  # one picture for all of them
    users = {next_id(): f"User {number}" for number in range(101)}
    for user in users:
        assert service.ask("PUT", f"/api/partner/{user}", json=pinned).status_code in (200, 201)
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        # A service that is busy may answer too late for a page.
        wait_until(lambda: count_pictures(read_page(url)) == 101)
    for user in users:
        service.ask("DELETE", f"/api/partner/{user}")


def test_names_come_when_nothing_listens_there(tmp_path: Path) -> None:
    with run_backend(tmp_path, f"http://127.0.0.1:{free_loopback_port()}", "any", {42: "Ann Lee"}) as url:
        page = read_page(url)
    assert "Ann Lee" in page
    assert ">AL<" in page
    assert count_pictures(page) == 0


def test_a_service_that_does_not_answer_holds_the_page_up_once(tmp_path: Path) -> None:
    users = {next_id(): f"User {number}" for number in range(201)}  # three questions, if each were asked
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        run_backend(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", "any", users) as url,
    ):
        page = read_page(url)
        assert count_connections(silent) == 1
    assert page.count("User ") == 201
