"""What operators see beside a running service: the installed command and the page."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import wait_until
from tests.support.cli_parts import COMMAND
from tests.support.running import Service
from tests.support.web_parts import warm_picture


def test_the_installed_command_reports_the_workers_of_a_running_service(service: Service, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "diagnose", "--json", "--partners", "1"],
        cwd=tmp_path,
        env=service.environment,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)
    assert said["now"]["workers"]
    answers = {check["question"]: check["state"] for check in said["checks"]}
    parts = ("Does the web tier answer?", "Are workers alive?", "Is beat alive?")
    assert [answers[part] for part in parts] == ["ok", "ok", "ok"]


def test_the_page_shows_the_activity_of_web_and_workers(service: Service) -> None:
    service.ask("GET", warm_picture(service))

    def read_shown() -> Any:
        shown = service.ask("GET", "/ops.json").json()
        day, states = shown["day"], (shown["now"]["bot"], shown["redis"], shown["broker"])
        is_counted = day["hit_rate"] and day["calls"] >= 2 and day["warmings"] and day["due"] is not None
        return states == ("ok", "ok", "ok") and is_counted and shown

    shown = wait_until(read_shown)
    assert len(shown["now"]["workers"]) == 2
    assert shown["day"]["workers"] in (0, 1, 2)  # a worker may have started after the first sample
