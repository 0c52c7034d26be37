"""The web tier under a server that configures no logging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_app_configures_logging_and_freezes_the_heap() -> None:
    code = """
import gc, logging
from web.server.granian import create_app
create_app()
logging.getLogger("web").info("seen")
print(gc.get_freeze_count() > 10_000)
"""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert done.stderr.endswith(" INFO web: seen\n")
