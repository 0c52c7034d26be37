"""A URL that leads to another server than it says, or with a login that is refused, stops a start with one line."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from faketelegram import FakeTelegram
from runner.ports import free_loopback_port
from tests.support.redis_nodes import MASTER, Node, RedisServer, Sentinel
from tests.support.servers import PIECE, Certificate, OneAnswer, Relay
from warmer.broker import greeting, start_check
from warmer.broker.start_check import check_servers
from warmer.errors import ConfigError
from warmer.settings import load_settings

SECRET = "hunter2-hunter2"
LOGIN = f":{SECRET}@"


@pytest.fixture(autouse=True)
def _is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be too busy for an answer in two seconds. Redis stays silent to TLS, so that is waited for."""
    monkeypatch.setattr(start_check, "CHECK_SECONDS", 60.0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A single Redis without TLS, with a password and a user of its own."""
    with Node(tmp_path_factory.mktemp("node")) as node:
        node.client.acl_setuser("avatars", enabled=True, passwords=f"+{SECRET}", keys=["v2:*"], categories=["+@read"])
        node.client.config_set("requirepass", SECRET)
        yield node


@pytest.fixture(scope="module")
def open_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A single Redis without a password."""
    with Node(tmp_path_factory.mktemp("open")) as node:
        yield node


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    options = {"cluster-enabled": "yes", "cluster-port": str(free_loopback_port())}
    with Node(tmp_path_factory.mktemp("cluster"), **options) as node:
        node.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
        yield node


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Node]:
    """A Sentinel that watches the node with a password."""
    with Sentinel(tmp_path_factory.mktemp("sentinel"), node) as watching:
        yield watching


@pytest.fixture(scope="module")
def rabbit() -> Iterator[int]:
    """What RabbitMQ says to a header that is not its own. Logins are tried at a real one: tests/faults."""
    with OneAnswer(b"AMQP\x00\x00\x09\x01") as server:
        yield server.port


@pytest.fixture(scope="module")
def encrypted(node: Node, certificate: Certificate) -> Iterator[Relay]:
    with Relay(node.url, certificate=certificate) as forwarder:
        yield forwarder


@pytest.fixture(scope="module")
def places(
    node: Node, open_node: Node, cluster: Node, sentinel: Node, rabbit: int, encrypted: Relay,
    telegram_server: FakeTelegram,
) -> dict[str, str]:  # fmt: skip
    """Where each server is."""
    ports = {"node": node, "open": open_node, "cluster": cluster, "sentinel": sentinel}
    found = {name: server.port for name, server in ports.items()}
    found |= {"rabbit": rabbit, "encrypted": encrypted.port, "http": telegram_server.port}
    return {name: f"127.0.0.1:{port}" for name, port in found.items()}


def check(setting: str, url: str) -> str:
    """Returns what the start says of this URL, empty if it goes on."""
    broker = {"celery_broker_url": "redis://127.0.0.1:1"} if "+cluster" in url else {}
    said = ""
    try:
        check_servers(load_settings(**broker | {setting.lower(): url}), setting)
    except ConfigError as error:
        said = str(error)
    assert SECRET not in said
    assert "\n" not in said
    return said


PASSWORD_OF_EITHER = "wants a password: it is Redis, or a Sentinel with a password of its own"
ROWS = [
    ("redis", LOGIN, "encrypted", "", "speaks TLS alone: write rediss:// instead of redis://"),
    ("redis+cluster", LOGIN, "encrypted", "", "speaks TLS alone: write rediss+cluster:// instead of redis+cluster://"),
    ("redis+sentinel", LOGIN, "encrypted", "/avatars", "speaks TLS alone: not supported here"),
    ("amqp", LOGIN, "encrypted", "/", "speaks TLS alone: write amqps:// instead of amqp://"),
    ("rediss", LOGIN, "node", "", "does not speak TLS: write redis:// instead of rediss://"),
    ("rediss+cluster", LOGIN, "cluster", "", "does not speak TLS: write redis+cluster:// instead of rediss+cluster://"),
    ("amqps", LOGIN, "rabbit", "/", "does not speak TLS: write amqp:// instead of amqps://"),
    ("redis", LOGIN, "http", "", "is an HTTP server, not Redis"),
    ("rediss", LOGIN, "http", "", "is an HTTP server, not Redis"),
    ("amqp", LOGIN, "http", "/", "is an HTTP server, not RabbitMQ"),
    ("redis", LOGIN, "rabbit", "", "is RabbitMQ, not Redis"),
    ("amqp", LOGIN, "node", "/", "is Redis, not RabbitMQ"),
    ("redis", "", "sentinel", "", "is a Sentinel: write redis+sentinel://host:26379/master"),
    ("redis", LOGIN, "sentinel", "/1", "is a Sentinel: write redis+sentinel://host:26379/master"),
    ("redis", "", "cluster", "", greeting.CLUSTER),
    ("redis", "", "cluster", "/1", greeting.CLUSTER),
    ("redis+cluster", LOGIN, "node", "", "is a single Redis and no node of a cluster"),
    ("redis+sentinel", LOGIN, "node", "/avatars", PASSWORD_OF_EITHER),
    ("redis+sentinel", LOGIN, "open", "/avatars", "is Redis and no Sentinel: write redis:// or redis+cluster://"),
    ("redis+sentinel", LOGIN, "sentinel", "/another", "knows no master of the name in the URL"),
    ("redis+sentinel", ":wrong@", "sentinel", f"/{MASTER}", "which refuses the user name or the password"),
    ("redis", ":wrong@", "node", "", "refuses the user name or the password"),
    ("redis", f"nobody{LOGIN}", "node", "", "refuses the user name or the password"),
    ("redis", "", "node", "", "wants a password"),
    ("redis", LOGIN, "open", "", "has no password: remove it from the URL"),
    ("redis", LOGIN, "node", "/99", "has no database with the number in the URL"),
]


@pytest.mark.parametrize(("scheme", "login", "place", "path", "told"), ROWS)
def test_a_server_that_cannot_be_meant_stops_a_start_with_one_line(
    places: dict[str, str], scheme: str, login: str, place: str, path: str, told: str
) -> None:
    url = f"{scheme}://{login}{places[place]}{path}"
    settings = [] if scheme.startswith("amqp") else ["REDIS_URL"]
    settings += [] if "cluster" in scheme else ["CELERY_BROKER_URL"]
    for setting in settings:
        said = check(setting, url)
        assert said.startswith(f"{setting}: {places[place]} "), said
        assert told in said


@pytest.mark.parametrize(
    ("scheme", "login", "place", "path"),
    [
        ("redis", LOGIN, "node", ""),
        ("redis", LOGIN, "node", "/15"),
        ("redis", f"avatars{LOGIN}", "node", ""),  # which may not ask for INFO
        ("redis", "", "open", "/1"),
        ("redis", LOGIN, "open", "?protocol=3"),  # it takes any password of its usual user
        ("rediss", LOGIN, "encrypted", ""),
        ("redis+cluster", "", "cluster", ""),
        ("redis+sentinel", LOGIN, "sentinel", f"/{MASTER}"),
    ],
)
def test_the_server_that_is_meant_stops_no_start(
    places: dict[str, str], certificate: Certificate, scheme: str, login: str, place: str, path: str
) -> None:
    options = f"?ssl_ca_certs={quote(str(certificate.file))}" if scheme == "rediss" else ""
    assert check("REDIS_URL", f"{scheme}://{login}{places[place]}{path}{options}") == ""


def test_over_tls_a_refused_login_is_named_and_so_is_a_missing_certificate_of_the_client(
    places: dict[str, str], encrypted: Relay, certificate: Certificate
) -> None:
    trusted = f"?ssl_ca_certs={quote(str(certificate.file))}"
    url = f"rediss://:wrong@{places['encrypted']}{trusted}"
    assert "refuses the user name or the password" in check("REDIS_URL", url)
    assert encrypted.context
    encrypted.context.load_verify_locations(certificate.file)
    encrypted.context.verify_mode = ssl.CERT_REQUIRED
    try:
        assert "wants a certificate of the client: name ssl_certfile" in check("REDIS_URL", url)
    finally:
        encrypted.context.verify_mode = ssl.CERT_NONE


def test_the_socket_of_redis_is_checked_too(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        url = server.url
        server.client.config_set("requirepass", SECRET)
        assert "r.sock wants a password" in check("REDIS_URL", url)
        assert check("REDIS_URL", url.replace("//", f"//{LOGIN}")) == ""
        assert "has no database" in check("REDIS_URL", f"{url.replace('//', f'//{LOGIN}')}?db=99")
        assert check("REDIS_URL", f"unix://{tmp_path}/none.sock") == ""  # it may start later


@pytest.mark.parametrize(
    "answer", [b"", b"\x00" * 64, b"+", b"$9999999999\r\n", b"-LOADING Redis is loading\r\n", b"-ERR max clients\r\n"]
)
def test_an_answer_that_says_nothing_for_good_stops_no_start(answer: bytes) -> None:
    with OneAnswer(answer) as server:
        port = server.port
        for scheme in ("redis", "rediss", "amqp", "amqps", "redis+sentinel"):
            setting = "CELERY_BROKER_URL" if scheme.startswith("amqp") else "REDIS_URL"
            said = check(setting, f"{scheme}://127.0.0.1:{port}/{'m' if 'sentinel' in scheme else ''}")
            assert said == "" or "does not speak TLS" in said or "is Redis, not RabbitMQ" in said


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"-ERR wrong number of arguments for 'auth' command\r\n", ""),
        (b"+OK\r\n", "wants a password"),
        (b"-WRONGPASS invalid\r\n", "refuses the user name"),
    ],
)
def test_a_login_that_a_server_only_spells_otherwise_stops_no_start(answer: bytes, told: str) -> None:
    closed = b"-NOAUTH Authentication required.\r\n"
    with OneAnswer(closed + answer + closed) as server:
        said = check("REDIS_URL", f"redis://user{LOGIN}127.0.0.1:{server.port}")
    assert (told in said) if told else said == ""


class Refusing(OneAnswer):
    """Hears the client out, which is still busy with the answer."""

    def serve(self, client: socket.socket) -> None:
        super().serve(client)
        while client.recv(PIECE):
            pass


def frame(class_id: int, method: int, arguments: bytes) -> bytes:
    """One method of AMQP 0-9-1 on the channel of the connection."""
    return struct.pack(">BHIHH", 1, 0, 4 + len(arguments), class_id, method) + arguments + b"\xce"


@pytest.mark.parametrize(
    ("reason", "is_refused"),
    [
        ("NOT_ALLOWED - vhost another not found", True),
        ("NOT_ALLOWED - access to vhost 'v' refused for user 'u'", True),
        ("NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (5) is reached", False),
        ("NOT_ALLOWED - connection refused for user 'u': user connection limit (5) is reached", False),
    ],
)
def test_a_rabbitmq_whose_connections_are_all_taken_stops_no_start(reason: str, is_refused: bool) -> None:
    start = struct.pack(">BBII", 0, 9, 0, 5) + b"PLAIN" + struct.pack(">I", 5) + b"en_US"
    close = struct.pack(">HB", 530, len(reason)) + reason.encode() + struct.pack(">HH", 10, 40)
    answer = frame(10, 10, start) + frame(10, 30, struct.pack(">HIH", 0, 0, 0)) + frame(10, 50, close)
    with Refusing(answer) as server:
        said = check("CELERY_BROKER_URL", f"amqp://u{LOGIN}127.0.0.1:{server.port}/another")
    assert ("has no such virtual host" in said) == is_refused
    assert bool(said) == is_refused


def test_a_server_in_protected_mode_is_named() -> None:
    with OneAnswer(b"-DENIED Redis is running in protected mode because\r\n") as server:
        assert "is in protected mode: set a password" in check("REDIS_URL", f"redis://127.0.0.1:{server.port}")


def test_of_several_hosts_one_that_passes_suffices(places: dict[str, str]) -> None:
    hosts = [f"{places['cluster']},{places['open']}", f"{places['open']},{places['cluster']}"]
    assert [check("REDIS_URL", f"redis+cluster://{both}") for both in hosts] == ["", ""]
    assert "is a single Redis" in check("REDIS_URL", f"redis+cluster://{places['open']},{places['open']}")
