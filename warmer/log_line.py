"""Lines of the log for what has no logger: before logging is set up, in a signal handler, and in the runner."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NoReturn

from warmer.errors import ConfigError
from warmer.sources import read_given


def wants_json() -> bool:
    """Returns True if LOG_FORMAT is json, whatever the other settings are."""
    try:
        return read_given().get("LOG_FORMAT") == "json"
    except ConfigError:
        return False


def format_json(level: str, logger: str, message: str) -> str:
    """One line with the fields that every line has."""
    now = time.time()
    instant = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))},{int(now * 1000) % 1000:03d}"
    fields = {"time": instant, "level": level, "logger": logger, "process": os.getpid(), "message": message}
    return json.dumps(fields, ensure_ascii=False)


def exit_with(message: str) -> NoReturn:
    """End a process that cannot start, with status 1 and one line."""
    sys.exit(format_json("CRITICAL", "avatar-warmer", message) if wants_json() else f"avatar-warmer: {message}")
