"""A machine for the tests of scripts/bootstrap.py: its interpreters, its pip and its project are stubs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import Environment

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PYTHON = sys.executable
TOOLS = ("bash", "cp", "dirname", "env", "mkdir", "readlink", "sh", "sleep")

# Answers like an interpreter: to the probe, to `-m venv FOLDER`, to `-m pip …`; anything else it says it ran.
STUB = """\
#!/bin/sh
echo "$@" >> "{calls}"
case "$2" in
  import*) echo {version} "$0"; exit {without_venv} ;;
  venv) {venv} ;;
  pip) {pip} ;;
  *) echo "ran $*" ;;
esac
"""
MAKES_VENV = 'mkdir -p "$3/bin" "$3/lib/python3.12/site-packages/pip"; cp "$0" "$3/bin/python"'

# bootstrap.main as it would be under an old interpreter, in a project of its own.
DRIVER = """\
import sys, interpreters, bootstrap, pathlib
sys.executable, interpreters.FOLDERS, bootstrap.ROOT = "", (), pathlib.Path(sys.argv[1])
sys.exit(bootstrap.main(["scripts/serve.py", "--now"]))
"""


class Machine:
    """A machine with the interpreters that a test puts there, and a clone of a project."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.home = folder / "home"
        self.project = folder / "project"
        self.calls = folder / "calls"
        for path in (self.bin, self.home, self.project):
            path.mkdir()
        (self.project / "requirements").mkdir()
        for name in ("setup.cfg", "pyproject.toml", "requirements/run.lock", "requirements/test.lock"):
            (self.project / name).write_text("")
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)

    def put(
        self,
        version: str,
        *,
        at: Path | None = None,
        without_venv: int = 0,
        venv: str = MAKES_VENV,
        pip: str = "true",
    ) -> str:
        program = at or self.bin / f"python{version.replace(' ', '.')}"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            STUB.format(version=version, calls=self.calls, without_venv=without_venv, venv=venv, pip=pip)
        )
        program.chmod(0o755)
        return str(program)

    def environment(self, *extras: str) -> Environment:
        return Environment(self.project, set(extras))

    def asked(self, word: str) -> int:
        return sum(word in line.split() for line in self.calls.read_text().splitlines())

    def installed(self) -> list[str]:
        """What the installer was asked for, in order."""
        return re.findall(r"pip install (.*)", self.calls.read_text())

    def bootstrap(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PYTHON, "-c", DRIVER, str(self.project)],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
