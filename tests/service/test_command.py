"""The installed command beside a running service."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.cli_parts import COMMAND
from tests.support.running import Service


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
    assert (answers["Are workers alive?"], answers["Is beat alive?"]) == ("ok", "ok")
