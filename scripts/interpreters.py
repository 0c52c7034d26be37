"""Which Python to use: the one that runs this, or a newer one that is somewhere on this machine.

Any Python from 3.6 on reads this file.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FLOOR = (3, 11)
KNOWN = ("3.14", "3.13", "3.12", "3.11")  # all the wheels that we need exist for these
FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
PROBE = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable); import venv, ensurepip"
SECONDS = 20


class Python:
    """An interpreter that ran when it was asked."""

    def __init__(self, program: str, version: "tuple[int, int]", has_venv: bool) -> None:
        self.program = program
        self.version = version
        self.has_venv = has_venv

    @property
    def is_known(self) -> bool:
        return "{}.{}".format(*self.version) in KNOWN


def find() -> "Iterator[Python]":
    """The interpreters that are new enough, the best ones first: of a known version, and able to make environments.

    Each is asked when its turn comes: asking takes its time.
    """
    seen = set()
    others = []
    for program in _candidates():
        python = ask(program)
        if python is None or python.version < FLOOR or os.path.realpath(python.program) in seen:
            continue
        seen.add(os.path.realpath(python.program))
        if python.has_venv and python.is_known:
            yield python
        else:
            others.append(python)
    yield from others


def ask(program: str) -> "Python | None":
    """What the program says about itself; None if it does not run."""
    try:
        process = subprocess.Popen(
            [program, "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must not look like an interpreter that fails
        )
        with process:
            words = process.communicate(timeout=SECONDS)[0].decode().split(None, 2)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if len(words) < 3 or not (words[0] + words[1]).isdigit():
        return None
    return Python(words[2].strip(), (int(words[0]), int(words[1])), process.returncode == 0)


def _candidates() -> "list[str]":
    names = ["python" + version for version in KNOWN] + ["python3"]
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [sys.executable]
    found += [str(Path(folder) / name) for name in names for folder in [*path, *FOLDERS]]
    found += [str(program) for version in KNOWN for program in sorted(pyenv.glob(version + "*/bin/python"))]
    uv = shutil.which("uv")
    if uv:
        answer = subprocess.run(
            [uv, "python", "find", ">=3.11"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        found += answer.stdout.decode().split("\n")[:1]
    there = [program for program in found if program and os.access(program, os.X_OK)]
    return sorted(set(there), key=there.index)
