"""nginx with TLS, as the guide turns the shipped file into its own: a real nginx in front of a stub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.proxies import nginx_with_tls
from tests.support.running import REQUEST_SECONDS, ROOT
from tests.support.servers import Certificate, HttpStub, Pieces, Relay, make_certificate, reply

GUIDE = (ROOT / "docs" / "deployment.md").read_text("utf-8")
(RULES,) = re.findall(r"^cat > /etc/nginx/avatar-warmer.sed <<'END'\n(.*?)^END$", GUIDE, re.MULTILINE | re.DOTALL)


class Answering(HttpStub):
    def respond(self, _line: str, _body: bytes) -> Pieces:
        return reply(b"{}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    return make_certificate(folder, "IP:127.0.0.1,IP:::1")


@pytest.fixture(scope="module")
def way() -> Iterator[Relay]:
    """Shows what reaches the service."""
    with Answering() as stub, Relay(stub.url) as way:
        yield way


@pytest.fixture(scope="module")
def urls(folder: Path, way: Relay, certificate: Certificate) -> Iterator[tuple[str, str]]:
    with nginx_with_tls(folder, way.url, RULES, certificate) as urls:
        yield urls


def test_port_80_redirects_to_https_and_passes_no_request_on(urls: tuple[str, str], way: Relay) -> None:
    path = "/api/partner/recent?limit=1"
    answer = requests.get(urls[0] + path, allow_redirects=False, timeout=REQUEST_SECONDS)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://127.0.0.1{path}")
    assert path.encode() not in way.sent


def test_port_80_answers_the_authority_that_asks_for_a_proof(urls: tuple[str, str], folder: Path) -> None:
    proof = folder / "html" / ".well-known" / "acme-challenge" / "token"
    proof.parent.mkdir(parents=True)
    proof.write_text("proof")
    url = f"{urls[0]}/.well-known/acme-challenge/token"
    assert requests.get(url, allow_redirects=False, timeout=REQUEST_SECONDS).text == "proof"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_both_ports_answer_over_ipv4_and_ipv6(urls: tuple[str, str], host: str, certificate: Certificate) -> None:
    plain, secure = (url.replace("127.0.0.1", host) for url in urls)
    assert requests.get(plain, allow_redirects=False, timeout=REQUEST_SECONDS).status_code == 301
    answer = requests.get(f"{secure}/healthz", verify=str(certificate.file), timeout=REQUEST_SECONDS)
    assert answer.status_code == 200
