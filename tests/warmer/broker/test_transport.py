"""The connection to the broker."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.servers import Certificate, OneAnswer, make_certificate
from warmer.broker.publish import BROKER_FAILED
from warmer.broker.queues import choose_publishing_options
from warmer.broker.transport import EagerConnection
from warmer.settings import load_settings

SECRET = "hunter2"


@pytest.fixture(scope="module")
def of_another_name(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:elsewhere.example")


def list_heard(certificate: Certificate, scheme: str, options: str = "") -> list[bytes]:
    """What a broker over TLS hears from us first, from a connection of our own and from a pooled one of kombu's."""
    with OneAnswer(b"-ERR no\r\n", certificate=certificate) as server:
        url = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}/0{options}"
        settings = load_settings(celery_broker_url=url)
        connection = EagerConnection(
            settings.broker_url, transport_options=choose_publishing_options(settings, 60), connect_timeout=60
        )
        pool: Any = connection.Pool(1)
        with connection, pool.acquire() as pooled:
            for one in (connection, pooled):
                with pytest.raises(BROKER_FAILED):
                    one.transport.establish_connection()
        pool.force_close_all()
        assert server.connections >= 2
        assert not server.heard or len(server.heard) >= 2
        return server.heard


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_broker_with_an_untrusted_certificate_receives_nothing(certificate: Certificate, scheme: str) -> None:
    assert list_heard(certificate, scheme) == []


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_trusted_certificate_for_another_name_is_refused_unless_the_url_allows_it(
    of_another_name: Certificate, scheme: str
) -> None:
    trusted = f"?ssl_ca_certs={quote(str(of_another_name.file))}"
    assert list_heard(of_another_name, scheme, trusted) == []
    assert list_heard(of_another_name, scheme, f"{trusted}&ssl_check_hostname=false")


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_every_url_names_the_trusted_authority_in_the_same_way(certificate: Certificate, scheme: str) -> None:
    assert list_heard(certificate, scheme, f"?ssl_ca_certs={quote(str(certificate.file))}")
    assert list_heard(certificate, scheme, "?ssl_cert_reqs=none")


def test_a_named_authority_counts_besides_the_usual_ones_for_redis_and_alone_for_rabbitmq(
    certificate: Certificate, of_another_name: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check at the start trusts the same."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))  # where OpenSSL finds the usual ones
    named = f"?ssl_ca_certs={quote(str(of_another_name.file))}"
    assert list_heard(certificate, "rediss", named)
    assert list_heard(certificate, "amqps", named) == []


@pytest.mark.parametrize(("options", "first"), [("", b"AUTH"), ("&protocol=2", b"AUTH"), ("&protocol=3", b"HELLO")])
def test_the_protocol_of_a_redis_broker_is_the_one_in_the_url(
    certificate: Certificate, options: str, first: bytes
) -> None:
    heard = list_heard(certificate, "rediss", f"?ssl_cert_reqs=none{options}")
    assert {one.split(b"\r\n")[2] for one in heard} == {first}  # HELLO may carry an AUTH of its own


def test_a_channel_of_a_closed_connection_raises_a_connection_error(redis_url: str) -> None:
    connection = EagerConnection(f"redis+socket://{redis_url.removeprefix('unix://')}")
    channel: Any = connection.default_channel
    errors = connection.connection_errors
    connection.close()
    with pytest.raises(errors):
        _ = channel.pool
