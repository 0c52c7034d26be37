"""The way to Telegram: connections that die, hosts with several addresses, proxies, certificates."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from faketelegram import TEST_TOKEN, FakeTelegram
from tests.support.clock import Clock
from tests.support.servers import Certificate, OneAnswer, Tunnel
from tests.warmer.telegram.conftest import ME
from warmer.deadline import Deadline
from warmer.errors import Unreachable
from warmer.telegram import dial
from warmer.telegram.client import BotApi
from warmer.telegram.connections import IDLE_SECONDS, Server
from warmer.telegram.dial import Dialer, interleave

Open = Callable[..., BotApi]


@pytest.fixture
def connect(telegram: FakeTelegram, clock: Clock) -> Iterator[Open]:
    """Opens a client of the fake Telegram, or of another server, on the way that the options say."""
    with ExitStack() as opened:

        def open_api(api_url: str = telegram.url, **way: Any) -> BotApi:
            server = Server(api_url, **way)
            api = BotApi(SecretStr(TEST_TOKEN), server, connections=4, on_call=lambda *_: None, clock=clock)
            return opened.enter_context(closing(api))

        yield open_api


# Connections die


@pytest.mark.parametrize(("seconds", "connections"), [(IDLE_SECONDS - 1, 1), (IDLE_SECONDS, 2), (30, 2)])
def test_a_connection_that_was_idle_too_long_is_not_used_again(
    connect: Open, telegram: FakeTelegram, clock: Clock, seconds: float, connections: int
) -> None:
    api = connect()
    api.get_me(Deadline(60))
    clock.advance(seconds)
    api.get_me(Deadline(60))
    assert telegram.connections == connections


def test_a_reset_of_a_connection_that_was_used_before_is_retried_once_on_a_new_one(
    connect: Open, telegram: FakeTelegram
) -> None:
    api = connect()
    api.get_me(Deadline(60))
    telegram.fail("getMe", "connection-reset")
    assert api.get_me(Deadline(60)).username
    assert telegram.connections == 2
    telegram.fail("getMe", "connection-reset", times=2)
    with pytest.raises(Unreachable):
        api.get_me(Deadline(60))
    assert telegram.calls == {"getMe": 5}


def test_a_reset_of_a_new_connection_is_a_failure(connect: Open, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "connection-reset")
    with pytest.raises(Unreachable):
        connect().get_me(Deadline(60))
    assert telegram.calls == {"getMe": 1}


# Several addresses


def address(port: int, family: int = socket.AF_INET) -> dial.AddressInfo:
    return (family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))


@contextmanager
def open_silent_port() -> Iterator[int]:
    """A port whose SYNs are dropped: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as queued:
        port = server.getsockname()[1]
        for _ in range(8):
            one = queued.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port


def test_an_address_that_drops_packets_does_not_hold_up_a_call(
    connect: Open, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_silent_port() as silent:
        found = [address(silent), address(silent), address(telegram.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        # An attempt after the other would spend the whole deadline on the first address.
        assert connect("http://localhost:1").get_me(Deadline(60)).username


def test_a_refusal_starts_the_next_attempt_at_once(telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "HEAD_START_SECONDS", 3600)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address(1), address(1), address(telegram.port)])
    with Dialer().connect("localhost", 1, 60) as sock:
        assert sock.getpeername()[1] == telegram.port
        assert sock.gettimeout() == 60


def test_a_host_none_of_whose_addresses_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address(1), address(1)])
    with pytest.raises(ConnectionRefusedError):
        Dialer().connect("localhost", 1, 60)
    looks = iter([0.0, 0.0, 60.0])  # a minute passes during the attempt
    with open_silent_port() as silent:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address(silent)])
        with pytest.raises(TimeoutError):
            Dialer(clock=lambda: next(looks)).connect("localhost", 1, 0.2)


def test_the_families_take_turns_and_the_one_that_worked_begins() -> None:
    four, six = socket.AF_INET, socket.AF_INET6
    found = [address(1, six), address(2, six), address(3, six), address(4, four)]

    def list_ports(first_family: int | None) -> list[int]:
        return [one[4][1] for one in interleave(found, first_family)]

    assert list_ports(None) == list_ports(six) == [1, 4, 2, 3]
    assert list_ports(four) == [4, 1, 2, 3]
    assert [one[4][1] for one in interleave(found[:3], four)] == [1, 2, 3]


def test_the_family_that_worked_is_tried_first_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "HEAD_START_SECONDS", 3600)  # whatever comes first is the only attempt
    dialer, path = Dialer(), str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, open_silent_port() as silent:
        server.bind(path)
        server.listen()
        unix: dial.AddressInfo = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)
        for found in ([unix], [address(silent), unix]):
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, found=found, **__: found)
            with dialer.connect("localhost", 1, 10) as sock:
                assert sock.family == socket.AF_UNIX


# A proxy


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    with Tunnel() as tunnel:
        yield tunnel


def test_a_proxy_opens_a_tunnel_and_gets_its_login(connect: Open, telegram: FakeTelegram, tunnel: Tunnel) -> None:
    proxy = SecretStr(tunnel.url.replace("//", "//me:p%2Fss@"))
    api = connect(proxy=proxy)
    for _ in range(3):
        assert api.get_me(Deadline(60)).username
    assert [head.split(b"\r\n")[0].split()[:2] for head in tunnel.heads] == [
        [b"CONNECT", f"127.0.0.1:{telegram.port}".encode()]
    ]
    login = b64encode(b"me:p/ss")
    assert login in tunnel.heads[0]
    assert login not in tunnel.sent + tunnel.answered
    assert TEST_TOKEN.encode() not in tunnel.heads[0]


def test_a_reset_in_a_tunnel_is_retried_in_a_new_one(connect: Open, telegram: FakeTelegram, tunnel: Tunnel) -> None:
    api = connect(proxy=SecretStr(tunnel.url))
    api.get_me(Deadline(60))
    telegram.fail("getMe", "connection-reset")
    assert api.get_me(Deadline(60)).username
    assert len(tunnel.heads) == 2


def test_a_proxy_that_is_away_is_a_passing_failure_that_shows_no_secret(connect: Open) -> None:
    with pytest.raises(Unreachable) as caught:
        connect(proxy=SecretStr("http://me:hunter2@127.0.0.1:1")).get_me(Deadline(60))
    assert "hunter2" not in repr(caught.value) + str(caught.value)


# Certificates


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_an_untrusted_certificate_ends_the_call_before_the_token_is_sent(
    connect: Open, certificate: Certificate
) -> None:
    with OneAnswer(answer(json.dumps(ME).encode()), certificate=certificate) as server:
        with pytest.raises(Unreachable):
            connect(f"https://127.0.0.1:{server.port}").get_me(Deadline(60))
        assert (server.connections, server.heard) == (1, [])


def test_a_private_ca_is_trusted_where_the_settings_name_it(connect: Open, certificate: Certificate) -> None:
    with OneAnswer(answer(json.dumps(ME).encode()), certificate=certificate) as server:
        api = connect(f"https://127.0.0.1:{server.port}", ca_file=certificate.file)
        assert api.get_me(Deadline(60)).username == "bo_bot"


def test_a_proxy_sees_no_token_where_telegram_is_asked_over_tls(connect: Open, certificate: Certificate) -> None:
    with (
        OneAnswer(answer(json.dumps(ME).encode()), certificate=certificate) as server,
        Tunnel(server.url) as tunnel,
    ):
        # Only the proxy knows the way; the name is compared with the certificate all the same.
        way = {"proxy": SecretStr(tunnel.url), "ca_file": certificate.file}
        assert connect("https://localhost:1", **way).get_me(Deadline(60)).username == "bo_bot"
        assert TEST_TOKEN.encode() in server.heard[0]
        assert TEST_TOKEN.encode() not in b"".join(tunnel.heads) + tunnel.sent + tunnel.answered
        with pytest.raises(Unreachable):
            connect("https://elsewhere.example", **way).get_me(Deadline(60))
