"""Renders the files named on the command line one after the other, each as a worker does.

Prints as JSON, for each, by how many bytes the process grew, and how many were reserved for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.hostile_pictures import quarters, save, squares_of
from tests.support.render_in_threads import read_status_bytes
from warmer.images import decode
from warmer.images.headers import read_header

SIDE = 320  # of squares_of


def main() -> None:
    for fmt in ("JPEG", "PNG", "WEBP"):
        squares_of(save(quarters(640, 640), fmt))
    figures = []
    for name in sys.argv[1:]:
        before = read_status_bytes("VmRSS")
        data = Path(name).read_bytes()
        reserved_bytes = decode._estimate_bytes(read_header(data), SIDE)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: proc(5)
        squares_of(data)
        figures.append((read_status_bytes("VmHWM") - before, reserved_bytes))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
