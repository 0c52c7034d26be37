"""Finds secrets in the outputs of a service, in any encoding."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from redis import Redis

Places = dict[str, bytes]  # contents by a readable name of the place


def encode_all(secret: str) -> dict[str, bytes]:
    """Returns every encoding of a secret to search for.

    Base64 depends on the number of preceding bytes: of each of the three cases the middle is taken, which no neighbour
    changes.
    """
    raw = secret.encode()
    quoted = quote(secret, safe="")
    spelled = {
        "raw": raw,
        "percent-encoded": quoted.encode(),
        "percent-encoded in small letters": _lower_escapes(quoted).encode(),
        "percent-encoded twice": quote(quoted, safe="").encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "hexadecimal": raw.hex().encode(),
        "HEXADECIMAL": raw.hex().upper().encode(),
    }
    for name, encode in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
        for before in range(3):
            first, last = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
            spelled[f"{name} after {before}"] = encode(bytes(before) + raw)[first:last]
    return spelled


def find_leaks(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Returns the places of each secret with its encoding, never the secret itself."""
    spelled = [(name, how, text) for name, secret in secrets.items() for how, text in encode_all(secret).items()]
    return [f"{place}: {name}, {how}" for place, held in places.items() for name, how, text in spelled if text in held]


def read_files(folder: Path) -> Places:
    """Returns every file in the folder, sockets aside."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): str(path).encode() + b"\n" + path.read_bytes() for path in files}


def read_redis(redis: Redis) -> Places:
    """Returns every key with its value, of every type."""
    return {f"Redis {key!r}": key + b" " + value for key, value in read_values(redis).items()}


def read_values(redis: Redis) -> dict[bytes, bytes]:
    """Returns the values of all keys as bytes."""
    reads: dict[Any, Any] = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"hash": redis.hgetall,
        b"stream": redis.xrange,
    }
    keys: list[Any] = list(redis.scan_iter("*"))
    kinds = {key: redis.type(key) for key in keys}
    return {key: _flat(reads[kind](key)) for key, kind in kinds.items() if kind != b"none"}  # "none": just expired


def read_command_lines() -> Places:
    """Returns the command line of every process, which every user of the machine can see."""
    processes = psutil.process_iter(["cmdline"])
    return {f"process {one.pid}": " ".join(one.info["cmdline"] or ()).encode() for one in processes}


def _flat(value: Any) -> bytes:
    """Returns all bytes of a value, without the escapes of a repr, which would hide some."""
    if isinstance(value, dict):
        return b" ".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return b" ".join(_flat(part) for part in value)
    return value if isinstance(value, bytes) else str(value).encode()


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)
