"""docs/limits.md compares the limits of the service with those of the shipped proxy configurations."""

from __future__ import annotations

import re

from gunicorn.config import Config

from tests.support.running import ROOT
from warmer.settings import Settings
from web import problems
from web.server import connection
from web.server.gathering import GatheringWorker

PAGE = (ROOT / "docs" / "limits.md").read_text("utf-8").partition("## Behind a proxy")[2].partition("\n## ")[0]
ROWS = {name: cells for name, *cells in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)}
UPSTREAM, SERVER = (ROOT / "deploy" / "nginx" / "avatar-warmer.conf").read_text("utf-8").split("\nserver {")
CADDY = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text("utf-8")
GUNICORN = (ROOT / "gunicorn.conf.py").read_text("utf-8")
KIB = 2**10


def spell(value: str) -> str:
    """As the page spells `64k`, `64KiB` and `10s`."""
    number, unit = re.fullmatch(r"(\d+)(k|KiB|s)", value).groups()  # type: ignore[union-attr]  # it fails the test
    return f"{number} {'s' if unit == 's' else 'KiB'}"


def read_nginx(name: str, text: str = SERVER) -> str:
    (value,) = re.findall(rf"^\s*{name} ([^;]+);", text, re.MULTILINE)
    return str(value)


def read_caddy(name: str) -> str:
    (value,) = re.findall(rf"^\s*{name} (\S+)", CADDY, re.MULTILINE)
    return spell(value)


def test_the_page_names_the_limits_of_the_service_of_nginx_and_of_caddy() -> None:
    (idle,) = re.findall(r"^keepalive = (\d+)", GUNICORN, re.MULTILINE)
    config, request = Config(), f"{GatheringWorker.request_seconds:.0f} s"
    count, size = read_nginx("large_client_header_buffers").split()
    head = f"{int(count) * int(size.removesuffix('k'))} KiB"
    expected = {
        "limit": ["service", "nginx", "Caddy"],
        "the head of a request": [f"{connection.MAX_HEAD_BYTES // KIB} KiB", head, read_caddy("max_header_size")],
        "its first line": [f"{config.limit_request_line:,} bytes", spell(size), "as the head"],
        "any other line of it": [f"{config.limit_request_field_size:,} bytes", spell(size), "as the head"],
        "its body": [
            f"{problems.MAX_BODY_BYTES // KIB} KiB", spell(read_nginx("client_max_body_size")), read_caddy("max_size"),
        ],
        "time to send the head": [request, spell(read_nginx("client_header_timeout")), read_caddy("read_header")],
        "time to send the body": [
            f"the same {request}",
            f"{spell(read_nginx('client_body_timeout'))} between two reads",
            f"{read_caddy('read_body')}, with the head",
        ],
        "time to answer": [
            f"{GatheringWorker.thread_seconds:.0f} s",
            spell(read_nginx("proxy_read_timeout")),
            read_caddy("response_header_timeout"),
        ],
        "time to read the answer": [
            request,
            f"{spell(read_nginx('send_timeout'))} between two writes",
            f"{read_caddy('write')}, with the time to answer",
        ],
        "idle connection of a client": [f"{idle} s", spell(read_nginx("keepalive_timeout")), read_caddy("idle")],
        "idle connection to the service": [
            f"{idle} s", spell(read_nginx("keepalive_timeout", UPSTREAM)), read_caddy("keepalive"),
        ],
        "connecting to the service": ["–", spell(read_nginx("proxy_connect_timeout")), read_caddy("dial_timeout")],
    }  # fmt: skip
    assert expected == ROWS


def test_the_limits_agree() -> None:
    sizes, times = ("the head of a request", "its body"), ("time to send the head", "time to answer")
    same = (*sizes, *times, "idle connection of a client")
    assert [name for name in same if len(set(ROWS[name])) > 1] == []
    service, *proxies = (int(cell.removesuffix(" s")) for cell in ROWS["idle connection to the service"])
    assert max(proxies) < service, "the service must not close a connection that a proxy is about to use"


def test_the_longest_wait_for_a_picture_ends_before_the_time_to_answer() -> None:
    (longest,) = [rule.le for rule in Settings.model_fields["photo_wait"].metadata if hasattr(rule, "le")]
    assert longest < GatheringWorker.thread_seconds
