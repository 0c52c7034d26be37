"""Measure in a browser when the first four pictures are there; writes docs/benchmarks/first-four.json and .png.

    .venv/bin/python scripts/first_four.py [--draw-only]

Wants a Chromium on the PATH and the packages of the tests; the first time it installs the original's into .venv.bench.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from benches import first_four, peers_env
from benches.first_four_plot import draw
from benches.machine import describe_machine
from runner.terminal import StartFailed, complain, say

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
RESULTS, PICTURE = FOLDER / "first-four.json", FOLDER / "first-four.png"


def main() -> int:
    """Return the exit status."""
    if sys.argv[1:] not in ([], ["--draw-only"]):
        sys.exit(__doc__)
    try:
        if not sys.argv[1:]:
            for problem in peers_env.prepare(say, ["original"]):
                complain(problem)
            RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", "utf-8")
    except (StartFailed, TimeoutError) as error:
        complain(str(error))
        return 1
    draw(json.loads(RESULTS.read_text("utf-8")), PICTURE)
    return 0


def measure() -> dict[str, Any]:
    """What is kept of a run: the machine, the day, the rounds, and milliseconds by state and server."""
    measurements = first_four.measure(say)
    machine = describe_machine() | {"date": time.strftime("%Y-%m-%d")}
    return {"machine": machine, "rounds": first_four.ROUNDS, "measurements": [asdict(one) for one in measurements]}


if __name__ == "__main__":
    sys.exit(main())
