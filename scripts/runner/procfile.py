"""Reads the Procfile, the only list of commands."""

from __future__ import annotations

import re
from pathlib import Path

from runner.terminal import StartFailed

LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")


def read(path: Path) -> dict[str, str]:
    """The commands by name, in the order of the file; raises StartFailed."""
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
