"""How supervisord is run: its children hear a signal from their first moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.running import ROOT

FORK = """
import os, signal, sys
from runner.supervisord import end_children_before_their_program
signal.signal(signal.SIGTERM, lambda *_: None)  # as supervisord, which only notes it
end_children_before_their_program()
may_go_on, go_on = os.pipe()
child = os.fork()
if not child:
    os.read(may_go_on, 1)
    os._exit(0)  # in place of the program
os.kill(child, signal.SIGTERM)
os.write(go_on, b"1")
_, status = os.waitpid(child, 0)
os.kill(os.getpid(), signal.SIGTERM)
print(os.waitstatus_to_exitcode(status))
"""


def test_a_child_that_is_stopped_before_it_runs_its_program_ends() -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-c", FORK]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == f"{-signal.SIGTERM}\n"
