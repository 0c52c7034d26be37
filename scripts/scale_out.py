"""Measure hits and warmings with 1, 2 and 4 processes, on one Redis and on a cluster; writes docs/scaling.md.

    .venv/bin/python scripts/scale_out.py

Takes about three minutes, wants two cores that have nothing else to do, and wrk.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from benches import load, scale_out, tools
from benches.machine import describe_machine
from planning import page
from runner.terminal import StartFailed, complain, say


def main() -> int:
    """Return the exit status."""
    if sys.argv[1:]:
        sys.exit(__doc__)
    try:
        tools.prepare(say)
        measurements = scale_out.measure(say)
    except (StartFailed, TimeoutError, load.BrokenRound) as error:
        complain(str(error))
        return 1
    machine = describe_machine() | {"date": time.strftime("%Y-%m-%d")}
    record = {"machine": machine, "rounds": scale_out.ROUNDS, "measurements": [asdict(one) for one in measurements]}
    page.CLUSTER.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    page.rewrite()
    return 0


if __name__ == "__main__":
    sys.exit(main())
