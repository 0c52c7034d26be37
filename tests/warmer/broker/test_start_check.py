"""Which servers stop a start: a certificate that is not trusted, another kind of server, a refused login."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.programs import find_program
from tests.support.servers import Certificate, OneAnswer, make_certificate
from warmer.broker import greeting, start_check
from warmer.broker.queues import choose_tls
from warmer.broker.start_check import Untrusted, check_servers, find_wrong_servers
from warmer.errors import ConfigError
from warmer.settings import load_settings

SECRET = "hunter2-hunter2"
SCHEMES = {"rediss": "redis_url", "rediss+cluster": "redis_url", "amqps": "celery_broker_url"}


@pytest.fixture(autouse=True)
def _is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be too busy for a handshake in two seconds."""
    monkeypatch.setattr(greeting, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(start_check, "CHECK_SECONDS", 60.0)


def check(certificate: Certificate, scheme: str, options: str = "") -> list[bytes]:
    """Check a server with this certificate. Returns what it has heard."""
    with OneAnswer(certificate=certificate) as server:
        broker = {"celery_broker_url": "redis://127.0.0.1:1"} if scheme == "rediss+cluster" else {}
        url = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}{options}"
        check_servers(load_settings(**broker, **{SCHEMES[scheme]: url}))
        return server.heard


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_certificate_that_nobody_has_named_stops_a_start_without_a_secret_in_the_line(
    certificate: Certificate, scheme: str
) -> None:
    with OneAnswer(certificate=certificate) as server:
        broker = {"celery_broker_url": "redis://127.0.0.1:1"} if scheme == "rediss+cluster" else {}
        url = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}"
        with pytest.raises(ConfigError, match=f"^{SCHEMES[scheme].upper()}: does not trust 127.0.0.1:") as caught:
            check_servers(load_settings(**broker, **{SCHEMES[scheme]: url}))
        assert (server.connections, server.heard) == (1, [])
    assert SECRET not in str(caught.value)
    assert "self-signed" in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_certificate_that_the_url_trusts_stops_none_and_the_login_is_tried(
    certificate: Certificate, scheme: str
) -> None:
    file, key = quote(str(certificate.file)), quote(str(certificate.key))
    for options in (f"?ssl_ca_certs={file}&ssl_certfile={file}&ssl_keyfile={key}", "?ssl_cert_reqs=none"):
        assert (SECRET in str(check(certificate, scheme, options))) == (scheme != "amqps")  # RabbitMQ greets first


def test_a_trusted_certificate_for_another_name_stops_a_start_unless_the_url_accepts_it(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "DNS:elsewhere.example")
    trusted = f"?ssl_ca_certs={quote(str(other.file))}"
    with pytest.raises(ConfigError, match=r"not valid for '127\.0\.0\.1'"):
        check(other, "rediss", trusted)
    assert check(other, "rediss", f"{trusted}&ssl_check_hostname=false")


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_a_file_without_a_certificate_stops_a_start(certificate: Certificate, tmp_path: Path, option: str) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ConfigError, match=r"^REDIS_URL: names a file that holds no certificate"):
        check(certificate, "rediss", f"?{option}={quote(str(tmp_path / 'empty.pem'))}")


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs=none&ssl_ca_certs"])
def test_a_folder_instead_of_a_file_stops_a_start(tmp_path: Path, option: str) -> None:
    for scheme in ("rediss", "amqps"):
        url = f"{scheme}://127.0.0.1:1?{option}={quote(str(tmp_path))}"
        with pytest.raises(ConfigError, match=f"^{SCHEMES[scheme].upper()}: names a file that holds no certificate"):
            check_servers(load_settings(**{SCHEMES[scheme]: url}))


def test_a_key_with_a_password_stops_a_start_without_a_question(certificate: Certificate, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    command = [find_program("openssl"), "ec", "-aes128", "-passout", "pass:word", "-in", str(certificate.key)]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    own = f"?ssl_certfile={quote(str(certificate.file))}&ssl_keyfile={quote(str(locked))}"
    with pytest.raises(ConfigError, match=r"^REDIS_URL: names a key that needs a password: [^\n]+\Z"):
        check_servers(load_settings(redis_url=f"rediss://127.0.0.1:1{own}"))


def test_a_named_file_is_trusted_besides_the_usual_ones_by_redis_and_alone_by_rabbitmq(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As their clients do, see test_transport.py."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))  # where OpenSSL finds the usual ones
    named = f"?ssl_ca_certs={quote(str(make_certificate(tmp_path).file))}"
    assert check(certificate, "rediss", named)
    assert check(certificate, "rediss+cluster", named)
    with pytest.raises(ConfigError, match=r"^CELERY_BROKER_URL: does not trust"):
        check(certificate, "amqps", named)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """No address of `silent.example` arrives until the test ends. Yields the event of a check that waited too long."""
    ended, waited, look_up = Event(), Event(), socket.getaddrinfo

    def wait_for_silent(host: str, *more: Any) -> Any:
        if host == "silent.example":
            if not ended.wait(20):
                waited.set()
            raise socket.gaierror
        return look_up(host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", wait_for_silent)
    yield waited
    ended.set()


def test_a_start_waits_for_no_server_longer_than_the_whole_check_may_take(
    silent: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_check, "CHECK_SECONDS", 0.01)
    check_servers(load_settings(redis_url="rediss://silent.example"))
    assert not silent.is_set()


def test_a_server_that_does_not_answer_delays_the_check_of_no_other(certificate: Certificate, silent: Event) -> None:
    with OneAnswer(certificate=certificate) as server:
        hosts = f"rediss+cluster://silent.example,127.0.0.1:{server.port}"
        with pytest.raises(ConfigError, match=r"^REDIS_URL: does not trust 127\.0\.0\.1"):
            check_servers(load_settings(redis_url=hosts, celery_broker_url="redis://127.0.0.1:1"))
    assert not silent.is_set()


def test_a_wrong_server_stops_no_start_while_another_host_of_its_url_does_not_answer(
    silent: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    instants = iter([0.0, 0.0, start_check.CHECK_SECONDS])  # at the start, before and after the first answer
    monkeypatch.setattr(start_check, "time", SimpleNamespace(monotonic=lambda: next(instants)))
    with OneAnswer(b"+OK\r\n-ERR This instance has cluster support disabled\r\n") as server:
        hosts = f"redis+cluster://silent.example,127.0.0.1:{server.port}"
        check_servers(load_settings(redis_url=hosts, celery_broker_url="redis://127.0.0.1:1"), "REDIS_URL")
        assert server.heard
    assert not silent.is_set()


def test_an_answer_that_a_client_cannot_digest_stops_no_start(caplog: pytest.LogCaptureFixture) -> None:
    with OneAnswer(b"*1\r\n" * 5000) as server:
        check_servers(load_settings(redis_url=f"redis://:{SECRET}@127.0.0.1:{server.port}"), "REDIS_URL")
        assert caplog.messages == [f"REDIS_URL: the check of 127.0.0.1:{server.port} ended with RecursionError"]


def test_every_wrong_setting_is_found(certificate: Certificate) -> None:
    with OneAnswer(b"HTTP/1.1 200 OK\r\n\r\n") as server, OneAnswer(certificate=certificate) as untrusted:
        both = {"redis_url": f"redis://127.0.0.1:{server.port}", "celery_broker_url": f"amqp://127.0.0.1:{server.port}"}
        wrong = sorted(map(str, find_wrong_servers(load_settings(**both))))
        assert [line.partition(":")[0] for line in wrong] == ["CELERY_BROKER_URL", "REDIS_URL"]
        both["celery_broker_url"] = f"amqps://127.0.0.1:{untrusted.port}"
        with pytest.raises(Untrusted, match=r"^CELERY_BROKER_URL: does not trust"):
            list(find_wrong_servers(load_settings(**both)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_is_away_stops_no_start(scheme: str) -> None:
    broker = {"celery_broker_url": "redis://127.0.0.1:1"} if scheme == "rediss+cluster" else {}
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    check_servers(load_settings(**broker, **{SCHEMES[scheme]: f"{scheme}://127.0.0.1:{port}"}))


def test_only_the_named_settings_are_checked(certificate: Certificate) -> None:
    with OneAnswer(certificate=certificate) as server:
        settings = load_settings(celery_broker_url=f"rediss://127.0.0.1:{server.port}")
        check_servers(settings, "REDIS_URL")
        assert server.connections == 0
        with pytest.raises(ConfigError, match=r"^CELERY_BROKER_URL:"):
            check_servers(settings)


def test_flower_learns_the_options_of_a_redis_over_tls_and_of_no_other_broker(certificate: Certificate) -> None:
    file = str(certificate.file)
    urls = {
        "rediss://a": {"ssl_cert_reqs": "required"},
        f"rediss://a/1?ssl_ca_certs={quote(file)}": {"ssl_cert_reqs": "required", "ssl_ca_certs": file},
        "rediss://a?ssl_cert_reqs=none&db=1": {"ssl_cert_reqs": "none"},
        "redis://a": False,
        "unix:///r": False,
        f"amqps://a/v?ssl_ca_certs={quote(file)}": False,  # the transport reads them from the URL
    }
    assert {url: choose_tls(load_settings(celery_broker_url=url)) for url in urls} == urls
