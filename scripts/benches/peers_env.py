"""The peers' own environment, .venv.bench: made once, group by group, from requirements.txt beside this file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv.bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
GROUP = re.compile(r"^# \[(\w+)\].*\n((?:(?!#).+\n)+)", re.MULTILINE)
APART = {group: FOLDER / "thumbor" for group in ("thumbor", "curl")}  # its requirements conflict with the others'
ENVIRONMENTS = (FOLDER, FOLDER / "thumbor")
ASTRAY = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")  # would lead pip elsewhere
TAIL = 15  # lines of an installer's output


def prepare(say: Callable[[str], None], wanted_groups: Collection[str] = ()) -> list[str]:
    """Install the missing groups, all or only the named ones. Returns a sentence for each group that fails."""
    problems = []
    for group, requirements in read_groups(REQUIREMENTS.read_text()).items():
        if wanted_groups and group not in wanted_groups:
            continue
        environment = APART.get(group, FOLDER)
        stamp = environment / f"{group}.installed"
        wanted = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        say(f"Installing {group} into {environment.relative_to(FOLDER.parent)}, once…")
        if problem := _install(environment, requirements):
            problems.append(f"{group}: does not install here ({problem.splitlines()[-1]})")
        else:
            stamp.write_text(wanted)
    return problems


def find(program: str) -> Path | None:
    """A program of the peers' environment, None if its group is not installed."""
    return next((path for folder in ENVIRONMENTS if (path := folder / "bin" / program).exists()), None)


def read_groups(text: str) -> dict[str, list[str]]:
    """The requirements by group, in the order of the file."""
    return {name: lines.splitlines() for name, lines in GROUP.findall(text)}


def run(command: Sequence[str], folder: Path | None = None) -> tuple[int, str]:
    """Run an installer; its exit status, and the last lines of its output."""
    environment = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return 127, str(error)
    return done.returncode, "\n".join(done.stdout.splitlines()[-TAIL:])


def _install(environment: Path, requirements: list[str]) -> str:
    """Install into the environment, and make it first if it is missing. Returns the last lines of what failed."""
    python = environment / "bin" / "python"
    if not python.with_name("pip").exists():
        status, problem = run([sys.executable, "-m", "venv", str(environment)])
        if status and (uv := shutil.which("uv")):  # it needs no venv module
            status, problem = run([uv, "venv", "--seed", "--allow-existing", str(environment)])
        if status:
            return problem or "no environment could be made"
    status, problem = run([str(python), "-m", "pip", "install", *requirements])
    return problem or "pip failed" if status else ""
