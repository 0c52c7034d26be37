"""Faults inside a process of the service; Python loads this file at its start.

`tests.support.running.hooks` puts this folder on PYTHONPATH. A picture of one of two sizes ends the process that
decodes it, or delays it, the latter only once per folder FAULT_PICTURES. FAULT_CLOCK_SECONDS shifts the clock of the
process. PATIENCE names what the process waits for up to a minute: `servers`, which are Redis and the broker, and
`purges`, which a deletion waits for.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import PIL.Image
import PIL.ImageFile
import time_machine

ENDS_THE_PROCESS, TAKES_LONG = 313, 317  # pixels per side
HELD_UP = "held-up"  # the file that marks the delay
_open = PIL.Image.open


def open_or_end(*args: Any, **options: Any) -> PIL.ImageFile.ImageFile:
    """Pillow's `open`, except for the two pictures."""
    picture = _open(*args, **options)
    if picture.width == ENDS_THE_PROCESS:
        os._exit(70)
    if picture.width == TAKES_LONG and is_first():
        time.sleep(3600)
    return picture


def is_first() -> bool:
    """Returns True for the first delayed process."""
    try:
        (Path(os.environ["FAULT_PICTURES"]) / HELD_UP).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def wait_for_servers(module: Any) -> None:
    """Lengthen the timeouts that are set in this module."""
    if module.__name__ == "warmer.redis_client.clients":
        usual = module.Patience
        module.Patience = lambda _connect, _read, _pool, retry: usual(60, 60, 60, retry)
    elif module.__name__ == "web.redis_breaker":
        module.REQUEST_SECONDS = 600.0
    else:
        module.PUBLISH_SECONDS = 60.0


def wait_for_purges(module: Any) -> None:
    """Lengthen the time that a deletion waits for the web processes."""
    module.WAIT_SECONDS = 60.0


PATIENT = {
    "servers": (("warmer.redis_client.clients", "web.redis_breaker", "web.wiring"), wait_for_servers),
    "purges": (("warmer.flow.forget",), wait_for_purges),
}


class Changer(MetaPathFinder):
    """Changes modules right after their import: the path to them is not known when Python starts."""

    def __init__(self, *groups: str) -> None:
        self.changes = {name: change for group in groups for names, change in [PATIENT[group]] for name in names}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        change = self.changes.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if change else None
        if spec and spec.loader and change:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                change(module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]  # for this module alone
        return spec


if patience := os.environ.get("PATIENCE"):
    sys.meta_path.insert(0, Changer(*patience.split()))
if "FAULT_PICTURES" in os.environ:
    PIL.Image.open = open_or_end
if seconds := int(os.environ.get("FAULT_CLOCK_SECONDS", "0")):
    time_machine.travel(datetime.now().astimezone() + timedelta(seconds=seconds), tick=True).start()
