"""Faults inside a process of the service; Python loads this file at its start.

`tests.support.faults.hooks` puts this folder on PYTHONPATH. A picture of one of two sizes ends the process that
decodes it, or delays it, the latter only once per folder FAULT_PICTURES. FAULT_CLOCK_SECONDS shifts the clock of the
process.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
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


if "FAULT_PICTURES" in os.environ:
    PIL.Image.open = open_or_end
if seconds := int(os.environ.get("FAULT_CLOCK_SECONDS", "0")):
    time_machine.travel(datetime.now().astimezone() + timedelta(seconds=seconds), tick=True).start()
