"""Keys that nobody has given are made once, and kept in `keys.env` in DATA_DIR (0600)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values

from runner.folders import write_private
from runner.terminal import StartFailed

HEADER = "# Made by scripts/run. Whoever has these keys is the server; without them every photo URL changes.\n"


def made_keys(file: Path, names: Iterable[str]) -> dict[str, str]:
    """The kept key of each name; the ones still missing are made now."""
    try:
        kept = {name: value for name, value in dotenv_values(file).items() if value} if file.exists() else {}
        missing = [name for name in names if name not in kept]
        if missing:
            kept.update({name: _make(name) for name in missing})
            write_private(file, HEADER + as_env(kept))
        elif file.exists():
            file.chmod(0o600)
    except OSError as error:
        raise StartFailed(f"DATA_DIR: {file}: {error.strerror}") from None
    return {name: kept[name] for name in names}


def as_env(values: Mapping[str, str]) -> str:
    """The lines of an env file, as python-dotenv reads them."""
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
    return "".join(f"{name}='{value}'\n" for name, value in quoted.items())


def _make(name: str) -> str:
    key = secrets.token_urlsafe(32)
    return f"admin:{key}" if name == "FLOWER_BASIC_AUTH" else key
