"""Reads the Procfile, the only list of commands."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from runner.terminal import StartFailed

LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")


def read(path: Path) -> dict[str, str]:
    """Return the commands by name, in the order of the file. Raises StartFailed."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise StartFailed(f"{path}: {error.strerror}") from None
    services = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if not match:
            raise StartFailed(f"{path}: this line is not 'name: command': {line}")
        services[match["name"]] = match["command"]
    return services


def become(name: str) -> NoReturn:
    """Turn this process into the one of that line, with the settings it finds. Raises StartFailed."""
    command = find_command(read(Path("Procfile")), name)
    add_programs_to_path()
    os.execvp("env", ["env", *shlex.split(command)])  # noqa: S606, S607 - no shell wanted; as in the units


def find_command(services: Mapping[str, str], name: str) -> str:
    """Return the command of that line. `worker7` is `worker` under another name: number as many as you need.

    Raises StartFailed.
    """
    if name in services:
        return services[name]
    first = name.rstrip("0123456789")
    if f"{first}@" in services.get(first, ""):
        return services[first].replace(f"{first}@", f"{name}@")
    raise StartFailed(f"the Procfile has no line {name!r}: name one of {', '.join(services)}")


def add_programs_to_path() -> None:
    """Put the programs of this environment in front of the PATH."""
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)))
