"""The example Flask backend as its own process, beside the running service and beside an unreachable one."""

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
    """Returns the number of connections made to the server and not yet accepted."""
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


def test_more_users_than_one_request_can_resolve_all_have_a_picture(service: Service, tmp_path: Path) -> None:
    shown = next_id()
    assert service.telegram
    service.telegram.world.add_user(shown, "Ann")
    pinned = {"name": "Ann", "photo_file_id": service.telegram.world.file_id(shown)}  # one picture for all users
    users = {next_id(): f"User {number}" for number in range(101)}
    for user in users:
        assert service.ask("PUT", f"/api/partner/{user}", json=pinned).status_code in (200, 201)
    with run_backend(tmp_path, service.url, service.api_key, users) as url:
        # A busy service may answer too late for one page.
        wait_until(lambda: count_pictures(read_page(url)) == 101)
    for user in users:
        service.ask("DELETE", f"/api/partner/{user}")


def test_without_the_service_the_page_shows_names_and_initials(tmp_path: Path) -> None:
    with run_backend(tmp_path, f"http://127.0.0.1:{free_loopback_port()}", "any", {42: "Ann Lee"}) as url:
        page = read_page(url)
    assert "Ann Lee" in page
    assert ">AL<" in page
    assert count_pictures(page) == 0


def test_a_service_that_does_not_answer_delays_the_page_only_once(tmp_path: Path) -> None:
    users = {next_id(): f"User {number}" for number in range(201)}  # three requests, without the early end
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        run_backend(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", "any", users) as url,
    ):
        page = read_page(url)
        assert count_connections(silent) == 1
    assert page.count("User ") == 201
