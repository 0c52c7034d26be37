"""The logs of all processes, from the first line to the last."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.running import run_service
from tests.support.waiting import wait_until

NAMES = ("web", "worker", "worker2", "beat", "flower")
SILENT = "beat"  # it logs only what is wrong


def list_text(path: Path) -> list[str]:
    """Returns the lines that are no JSON object with a level and a message."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not {"time", "level", "logger", "process", "message"} <= said.keys():
            found.append(line)
    return found


def test_with_json_every_line_of_every_process_is_an_object_from_start_to_end(tmp_path: Path) -> None:
    with run_service(tmp_path, LOG_FORMAT="json") as service:
        logs = service.data_dir / "logs"
        service.ask("GET", "/api/partner/recent").raise_for_status()
        wait_until(lambda: all((logs / f"{name}.log").stat().st_size for name in NAMES if name != SILENT))
    paths = [tmp_path / "run.log", *(logs / f"{name}.log" for name in NAMES)]
    assert {path.name: list_text(path) for path in paths} == {path.name: [] for path in paths}
