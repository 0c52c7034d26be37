"""What the fault tests do to a process of the service from inside; Python reads this file at its start.

`tests.faults.hooks` puts this folder on PYTHONPATH. A picture whose bytes hold one of the two words does that to
whoever decodes it, the second one only once for each folder FAULT_PICTURES; with FAULT_CLOCK_SECONDS the clock of the
process is so far off.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import time_machine

ENDS_THE_PROCESS, TAKES_LONG = b"ENDS-THE-PROCESS", b"TAKES-LONG"
HELD_UP = "held-up"  # the file that says so
_open = PIL.Image.open


def open_or_end(file: BytesIO, *args: Any, **options: Any) -> Any:
    """Pillow's `open`, but for the two pictures."""
    data = file.getvalue()
    if ENDS_THE_PROCESS in data:
        os._exit(70)
    if TAKES_LONG in data and is_first():
        time.sleep(3600)
    return _open(file, *args, **options)


def is_first() -> bool:
    """Whether nobody was held up yet."""
    try:
        (Path(os.environ["FAULT_PICTURES"]) / HELD_UP).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if "FAULT_PICTURES" in os.environ:
    PIL.Image.open = open_or_end  # type: ignore[assignment]  # our code opens BytesIO only
if seconds := int(os.environ.get("FAULT_CLOCK_SECONDS", "0")):
    time_machine.travel(datetime.now().astimezone() + timedelta(seconds=seconds), tick=True).start()
