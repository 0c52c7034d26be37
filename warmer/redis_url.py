"""URLs of Redis that redis-py and kombu have no scheme for: a cluster, and Sentinels.

    redis+cluster://[user:password@]host[:6379],host…         rediss+cluster:// over TLS
    redis+sentinel://[user:password@]host[:26379],host…/master name[/database]

The credentials are the servers'. Sentinels that want a password of their own are not supported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

CLUSTER = re.compile(r"(?P<scheme>rediss?\+cluster)://(?:(?P<login>[^@/]*)@)?(?P<hosts>[^@/?#]+)/?")
SENTINELS = re.compile(
    r"(?P<scheme>redis\+sentinel)://(?:(?P<login>[^@/]*)@)?(?P<hosts>[^@/?#]+)"
    r"/(?P<master>[A-Za-z0-9._-]+)(?:/(?P<database>[0-9]+))?"
)
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
PORTS = {"redis+sentinel": 26379}
FORMS = "redis+cluster://host,host or redis+sentinel://host,host/master"


class Host(NamedTuple):
    """Where to ask first."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """What such a URL says."""

    hosts: tuple[Host, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_encrypted: bool = False
    master: str = ""  # of Sentinels; empty for a cluster
    database: int = 0


def parse_place(url: str) -> Place | None:
    """The cluster or the Sentinels that a URL names, None for any other URL; raises ValueError for a malformed one."""
    if not re.match(r"rediss?\+(cluster|sentinel):", url):
        return None
    if url.startswith("rediss+sentinel:"):
        raise ValueError("must not be rediss+sentinel://, TLS with Sentinels is not supported (docs/settings.md)")
    match = CLUSTER.fullmatch(url) or SENTINELS.fullmatch(url)
    if match is None:
        raise ValueError(f"must be of the form {FORMS}")
    parts = match.groupdict()
    user, has_password, password = (parts["login"] or "").partition(":")
    return Place(
        hosts=tuple(_parse_host(host, PORTS.get(parts["scheme"], 6379)) for host in parts["hosts"].split(",")),
        username=unquote(user) or None,
        password=unquote(password) if has_password else None,
        is_encrypted=parts["scheme"].startswith("rediss"),
        master=parts.get("master") or "",
        database=int(parts.get("database") or 0),
    )


def is_cluster(url: str) -> bool:
    """Whether the URL names a cluster."""
    place = parse_place(url)
    return place is not None and not place.master


def to_kombu_url(url: str) -> str:
    """The broker's URL as kombu spells it: it knows Sentinels in another form, and unix sockets by another name."""
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        database = re.search(r"(?:^|&)db=(\d+)", query)
        return f"redis+socket://{path}?virtual_host={database[1] if database else 0}"
    place = parse_place(url)
    if place is None:
        return url
    login = url.partition("://")[2].rpartition("@")[0]
    at = f"{login}@" if login else ""
    return ";".join(f"sentinel://{at}{host}/{place.database}" for host in place.hosts)


def _parse_host(text: str, port: int) -> Host:
    match = HOST.fullmatch(text)
    number = int(match["port"] or port) if match else 0
    if match is None or not 0 < number < 65_536:
        raise ValueError("must name hosts, each with a port from 1 to 65535 or without")
    return Host(match["name"].strip("[]"), number)
