"""Calls and connections are counted."""

from __future__ import annotations

import socket

import pytest
import requests

from faketelegram import FakeTelegram
from tests.scripts.faketelegram.calling import PATIENCE, call, download, path_of
from tests.support.waiting import wait_until


def test_calls_and_downloads_are_counted_and_logged_until_reset(fake: FakeTelegram) -> None:
    download(fake, path_of(fake))
    assert fake.calls == {"getFile": 1, "download": 1}
    assert [(method, params) for _, method, params in fake.log][1] == ("download", {"file_path": "photos/file_0.jpg"})
    fake.reset()
    assert (fake.calls, fake.log, fake.connections, fake.max_in_flight) == ({}, [], 0, 0)


def test_one_connection_serves_many_calls(fake: FakeTelegram) -> None:
    with requests.Session() as session:
        for _ in range(5):
            session.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert (fake.connections, fake.max_in_flight, fake.calls["getMe"]) == (1, 1, 5)


def test_max_in_flight_counts_simultaneous_calls(fake: FakeTelegram) -> None:
    fake.fail("getMe", "hang", times=3)
    clients = [socket.create_connection(("127.0.0.1", fake.port)) for _ in range(3)]
    for client in clients:
        client.sendall(f"GET /bot{fake.token}/getMe HTTP/1.1\r\nHost: fake\r\n\r\n".encode())
    wait_until(lambda: fake.max_in_flight == 3)
    for client in clients:
        client.close()
    wait_until(lambda: fake.traffic.in_flight == 0)


def test_latency_applies_per_call_and_connect_latency_per_connection(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.latency, fake.connect_latency = 0.05, 0.2
    with requests.Session() as session:
        for _ in range(2):
            session.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert pauses == [0.2, 0.05, 0.05]


def test_the_log_keeps_the_newest_calls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faketelegram.traffic.LOG_MAX", 3)
    with FakeTelegram() as fake:
        for number in range(5):
            call(fake, "getChat", chat_id=number)
        assert [said["chat_id"] for _, _, said in fake.log] == ["2", "3", "4"]
        assert fake.calls == {"getChat": 5}
