"""Identifies the server at an address and logs in to it: a few words of each protocol, over one socket.

redis-py and kombu report a server of another kind, or one without TLS, as a server that is away.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
from redis.connection import parse_url

from warmer.broker.transport import EagerConnection
from warmer.redis_url import Host, parse_place, split_options, to_kombu_url

ANSWER_SECONDS = 2.0  # for each step of one server
REPLY_MAX = 2**16  # bytes, or parts
Address = Host | str  # a string is the path of a socket
# Redis, RabbitMQ (as a malformed header) and HTTP servers answer this, each in its way.
PING = b"PING / HTTP/1.0\r\n\r\n"
KINDS = ((b"+", "Redis"), (b"-", "Redis"), (b"AMQP", "RabbitMQ"), (b"HTTP/", "an HTTP server"))
SENTINEL = re.compile(r"_mode:sentinel\b")  # redis_mode; Valkey has server_mode
CLUSTER = "is a node of a cluster: write redis+cluster://, which the broker cannot be"
# Errors of Redis that no retry ends, the one with the most to say first. The list is closed: any other error passes.
REFUSALS = (
    (r"DENIED Redis is running in protected mode", "is in protected mode: set a password at the server"),
    (r"WRONGPASS|ERR invalid password", "refuses the user name or the password"),
    (r"ERR AUTH .*without any password|ERR Client sent AUTH", "has no password: remove it from the URL"),
    (r"CROSSSLOT|CLUSTERDOWN|ERR SELECT is not allowed in cluster mode", CLUSTER),
    (r"ERR (invalid DB index|DB index is out of range)", "has no database with the number in the URL"),
    (r"ERR This instance has cluster support disabled", "is a single Redis and no node of a cluster"),
    (r"NOAUTH", "wants a password"),
)


def connect(address: Address) -> socket.socket:
    """Open a connection to a host, or to the socket at a path. Raises OSError."""
    if isinstance(address, Host):
        return socket.create_connection(address, ANSWER_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def identify(address: Address) -> str:
    """Identify what speaks there in plain text. Returns `TLS` if it speaks TLS alone, "" if unknown. Raises OSError."""
    with connect(address) as plain:
        try:
            plain.sendall(PING)
            first = plain.recv(16)
        except ConnectionError:
            first = b""
    for start, kind in KINDS:
        if first.startswith(start):
            return kind
    return "TLS" if isinstance(address, Host) and _speaks_tls(address) else ""


def _speaks_tls(host: Host) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent over it
    try:
        with connect(host) as plain, context.wrap_socket(plain, server_hostname=host.name):
            return True
    except (OSError, ValueError):
        return False


def ask_redis(connection: socket.socket, url: str, prefix: str) -> str | None:
    """Log in as the URL says. Returns what is wrong with it, or "". Returns None if this is no Redis. Raises OSError.

    `prefix`: of keys that the user may ask for.
    """
    username, password, database = _read_login(url)
    commands: list[Sequence[str]] = [("INFO", "server")]
    has_login = bool(username or password)
    if has_login:
        commands.append(("AUTH", username, password or "") if username else ("AUTH", password or ""))
    if database:
        commands.append(("SELECT", str(database)))
    place = parse_place(url)
    is_cluster = place is not None and not place.master
    commands.append(("CLUSTER", "INFO") if is_cluster else ("EXISTS", f"{prefix}{{a}}", f"{prefix}{{b}}"))
    before, *replies = converse(connection, commands)
    if not before:
        return None
    if SENTINEL.search(before):
        return "is a Sentinel: write redis+sentinel://host:26379/master"
    if has_login and not replies[0].startswith("+"):
        replies = replies[:1]  # the others tell a client that is not logged in, and redis-py may know another way
    errors = [before, *replies] if before.startswith("-DENIED") else replies
    return next((told for words, told in REFUSALS for error in errors if re.match(f"-({words})", error)), "")


def ask_sentinel(connection: socket.socket, master: str) -> Host | str | None:
    """Returns the address of the master, or what is wrong as in `ask_redis`. Raises OSError."""
    before, found = converse(connection, [("INFO", "server"), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)])
    if not before:
        return None
    if re.search(r"_mode:(standalone|cluster)\b", before):
        return "is Redis and no Sentinel: write redis:// or redis+cluster://"
    if before.startswith("-NOAUTH"):
        return "wants a password: it is Redis, or a Sentinel with a password of its own, which is not supported"
    name, _, port = found.partition("\n")
    if port.isdigit():
        return Host(name, int(port))
    return "knows no master of the name in the URL" if SENTINEL.search(before) and not found else ""


def converse(connection: socket.socket, commands: Sequence[Sequence[str]]) -> list[str]:
    """Send the commands. Returns a reply for each: an error with its `-`, a list with a line for each part, or ""."""
    replies: list[str] = []
    with connection.makefile("rwb") as stream, suppress(ConnectionError, ValueError):
        for command in commands:
            words = [word.encode() for word in command]
            stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        stream.flush()
        replies.extend(_read_reply(stream) for _ in commands)
    return replies + [""] * (len(commands) - len(replies))


def _read_reply(stream: Any) -> str:
    """Read one reply of RESP 2. Raises ValueError for anything else."""
    line = stream.readline(REPLY_MAX).decode("utf-8", "replace").rstrip("\r\n")
    if line.startswith(("+", "-", ":")):
        return str(line)
    size = int(line[1:])
    if line[0] not in "$*" or size > REPLY_MAX:
        raise ValueError
    if line.startswith("$"):
        return stream.read(size + 2)[:-2].decode("utf-8", "replace") if size >= 0 else ""
    return "\n".join(_read_reply(stream) for _ in range(size))


def _read_login(url: str) -> tuple[str | None, str | None, int]:
    """User, password and database. With RESP3 redis-py names the user, too, and a server without a password agrees."""
    base, options = split_options(url)
    usual = "default" if options["protocol"] == 3 else None
    if place := parse_place(url):
        return place.username or (place.password and usual), place.password, place.database
    parts: dict[str, Any] = dict(parse_url(base))  # type: ignore[no-untyped-call]  # untyped in redis-py
    password = parts.get("password")
    return parts.get("username") or (password and usual), password, int(parts.get("db") or options.get("db") or 0)


def ask_rabbit(url: str) -> str | None:
    """Log in to RabbitMQ as the URL says, over a connection of its own. Returns the same as `ask_redis`."""
    patience = {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
    broker = EagerConnection(to_kombu_url(url), connect_timeout=ANSWER_SECONDS, transport_options=patience)
    try:
        broker.transport.establish_connection().close()
    except AccessRefused:
        return "refuses the user name or the password"
    except NotAllowed as error:
        if "limit" in str(error.reply_text):  # of connections, which the next attempt may not meet
            return ""
        return "has no such virtual host, or this user may not use it"
    except AMQPError:
        return None
    return ""
