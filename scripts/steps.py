"""Steps that may take long: they say that they go on, can be interrupted, and are silent unless they fail.

Any Python from 3.6 on reads this file.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

HEARTBEAT = 10.0  # seconds between lines while something takes long
TURN = 0.1  # seconds
TAIL = 15  # lines of an installer that failed
# What would send pip elsewhere than into the environment, or Python to other modules.
ASTRAY = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "__PYVENV_LAUNCHER__")

_noted: "list[int]" = []  # signals


class Interrupted(Exception):
    """Somebody wants the stop."""


def listen() -> None:
    """From now on a signal is noted, and acted on where nothing is half-done: between two steps, and in a long one."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: _noted.append(number))


def check_signals() -> None:
    """Raise Interrupted if somebody wants the stop."""
    if _noted:
        raise Interrupted


def run(command: "list[str]", what: str, folder: "Path | None" = None) -> "tuple[int, str]":
    """The status of a command that may take long, and the last lines it wrote.

    It gets a process group of its own: an interrupted start has to end all that an installer has started.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    started = said = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=str(folder) if folder else None,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return 127, str(error)
        try:
            while process.poll() is None:
                check_signals()
                if time.monotonic() > said + HEARTBEAT:
                    said = time.monotonic()
                    say(f"{what}… {said - started:.0f} s")
                time.sleep(TURN)
        finally:
            end(process)
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").splitlines()
    return process.returncode, "\n".join(lines[-TAIL:])


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all of its group, if it has not ended by itself."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)


def say(line: str) -> None:
    """Tell the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError):
        os.write(1, (line + "\n").encode())
