"""The peers' own environment, .venv.bench: made once, group by group, from requirements.txt beside this file."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import steps

FOLDER = Path(__file__).resolve().parents[2] / ".venv.bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
GROUP = re.compile(r"^# \[(\w+)\].*\n((?:(?!#).+\n)+)", re.MULTILINE)
APART = {group: FOLDER / "thumbor" for group in ("thumbor", "curl")}  # thumbor's requirements fit no other's
ENVIRONMENTS = (FOLDER, FOLDER / "thumbor")


def prepare(say: Callable[[str], None], wanted_groups: Collection[str] = ()) -> list[str]:
    """Install what is not there yet, of all groups or of those that are named; a sentence for each that fails."""
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
    """A program of the peers' environment, None where its group is not installed."""
    return next((path for folder in ENVIRONMENTS if (path := folder / "bin" / program).exists()), None)


def read_groups(text: str) -> dict[str, list[str]]:
    """The requirements by group, in the order of the file."""
    return {name: lines.splitlines() for name, lines in GROUP.findall(text)}


def _install(environment: Path, requirements: list[str]) -> str:
    """Install into the environment, which is made if it is not there; the last lines of what has failed."""
    python = environment / "bin" / "python"
    if not python.with_name("pip").exists():
        status, problem = steps.run([sys.executable, "-m", "venv", str(environment)], "Making it")
        if status and (uv := shutil.which("uv")):  # it needs no venv module
            status, problem = steps.run([uv, "venv", "--seed", "--allow-existing", str(environment)], "Making it")
        if status:
            return problem or "no environment could be made"
    status, problem = steps.run([str(python), "-m", "pip", "install", *requirements], "Installing")
    return problem or "pip failed" if status else ""
