"""One request to the receiver: its form, its signatures, and where it may go."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from tests.conftest import wait_until
from tests.support.receiver import SECRET, Got, Receiver, verify_by_hand
from tests.support.servers import Server
from warmer.deadline import Deadline
from warmer.http_url import is_public
from warmer.settings import Settings
from warmer.telegram.dial import Dialer, ForbiddenAddress
from warmer.webhook.receiver import Receiver as Client

NEW = "whsec_" + base64.b64encode(b"the secret after a rotation: 40 bytes...").decode()
BODY = '{"type":"photo.gone","data":{"id":42}}'
Make = Callable[..., Client]


@pytest.fixture
def make_client(settings: Settings) -> Iterator[Make]:
    """Makes clients with other settings; they are closed at the end."""
    made: list[Client] = []

    def make(**changed: Any) -> Client:
        made.append(Client(settings.model_copy(update=changed), 2))
        return made[-1]

    yield make
    for client in made:
        client.close()


def send(client: Client, receiver: Receiver, now: float) -> Got:
    client.post("msg_1", BODY, now)
    return receiver.got[-1]


@pytest.fixture
def now() -> float:
    return time.time()


def test_the_verifier_of_the_library_accepts_it(make_client: Make, receiver: Receiver, now: float) -> None:
    got = send(make_client(), receiver, now)
    assert Webhook(SECRET).verify(got.body, got.headers) == got.event


def test_a_verifier_written_from_the_text_accepts_it_and_no_other_secret_or_body(
    make_client: Make, receiver: Receiver, now: float
) -> None:
    got = send(make_client(), receiver, now)
    assert verify_by_hand(got)
    assert not verify_by_hand(got, NEW)
    assert not verify_by_hand(Got(got.headers, got.body + b" "))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(got.body, got.headers)


def test_the_example_of_the_text_has_the_signature_of_the_text() -> None:
    # From the tests that the reference libraries share.
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify_by_hand(Got(headers, b'{"test": 2432232314}'), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_the_headers_are_those_of_standard_webhooks(make_client: Make, receiver: Receiver, now: float) -> None:
    got = send(make_client(), receiver, now)
    assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == ("msg_1", str(int(now)))
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("avatar-warmer/")
    assert receiver.heads[-1][0] == "POST /hook HTTP/1.1"
    assert "authorization" not in got.headers


def test_two_secrets_make_two_signatures_of_which_a_receiver_needs_one(
    make_client: Make, receiver: Receiver, now: float
) -> None:
    got = send(make_client(webhook_secret=(SecretStr(NEW), SecretStr(SECRET))), receiver, now)
    for secret in (NEW, SECRET):
        assert verify_by_hand(got, secret)
        assert Webhook(secret).verify(got.body, got.headers)


class KeepingAlive(Server):
    """Answers many requests on one connection."""

    def serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as stream:
            while stream.readline(100_000):
                length = 0
                while (line := stream.readline(100_000).strip().lower()) != b"":
                    length = int(line[15:]) if line.startswith(b"content-length:") else length
                stream.read(length)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks")


def test_a_connection_is_used_again(make_client: Make, now: float) -> None:
    with KeepingAlive() as server:
        client = make_client(webhook_url=server.url)
        for _ in range(3):
            assert client.post("msg_1", BODY, now).is_success
        assert server.connections == 1
        client.close()


def test_a_proxy_of_the_environment_is_not_used(
    make_client: Make, receiver: Receiver, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make_client().post("msg_1", BODY, now).is_success


@pytest.fixture
def hook_at_private_name(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL whose name leads to this machine, though it does not say so."""
    resolve = socket.getaddrinfo

    def to_loopback(host: str, *args: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == "hook.example.org" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_loopback)
    return f"http://hook.example.org:{receiver.port}/hook"


def test_a_name_that_leads_to_a_private_address_gets_no_event(
    make_client: Make, receiver: Receiver, now: float, hook_at_private_name: str
) -> None:
    answer = make_client(webhook_url=hook_at_private_name).post("msg_1", BODY, now)
    assert not answer.is_success
    assert "WEBHOOK_ALLOW_PRIVATE" in answer.reason
    assert receiver.connections == 0


def test_a_private_address_gets_events_if_the_setting_says_so(
    make_client: Make, receiver: Receiver, now: float, hook_at_private_name: str
) -> None:
    client = make_client(webhook_url=hook_at_private_name, webhook_allow_private=True)
    assert client.post("msg_1", BODY, now).is_success
    assert receiver.connections == 1


def test_an_attempt_whose_resolver_answers_after_the_deadline_sends_nothing(
    settings: Settings, receiver: Receiver, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, answers = socket.getaddrinfo, threading.Event()

    def wait_and_resolve(*args: Any, **options: Any) -> Any:
        answers.wait()
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait_and_resolve)
    with closing(Client(settings, 2, attempt_seconds=0.1)) as client, ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.post, "msg_1", BODY, now)
        try:
            wait_until(lambda: any(call.was_cut for call in list(client._watchdog._calls)))
        finally:
            answers.set()
        assert running.result().reason == "no answer within 0.1 s"
    assert receiver.got == []


def test_an_attempt_ends_with_the_deadline_around_it(make_client: Make, receiver: Receiver, now: float) -> None:
    receiver.opened.clear()
    answer = make_client().post("msg_1", BODY, now, Deadline(0))
    assert not answer.is_success


PRIVATE = [
    "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::1",
    "fd00::1", "fe80::1%eth0", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:a00:1::", "::a00:1", "2001:0:a00:1::", "a name", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_private_network_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_a_dialer_connects_to_permitted_addresses_alone(receiver: Receiver) -> None:
    with pytest.raises(ForbiddenAddress):
        Dialer(lambda _: False).connect("localhost", receiver.port, 1)
    with closing(Dialer(lambda address: address == "127.0.0.1").connect("localhost", receiver.port, 60)) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
