"""The system's programs that the benchmark uses: from the PATH, or fetched into a folder without root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

from benches.peers_env import FOLDER, run
from runner.terminal import StartFailed

FETCHED = FOLDER / "system"
PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")  # often missing from the PATH
HOW = "install it (Debian, Ubuntu: apt install {0}; macOS: brew install {0})"


def prepare(say: Callable[[str], None]) -> list[str]:
    """Fetch the missing programs. Returns a sentence for one that cannot be fetched; raises StartFailed without wrk."""
    for name in ("wrk", "nginx"):
        if not find(name):
            say(f"Fetching {name} into {FETCHED.relative_to(FOLDER.parent)}, once…")
            _fetch(name)
    find.cache_clear()
    need_wrk()
    return [] if find("nginx") else [f"nginx: is missing; {HOW.format('nginx')}"]


def need_wrk() -> list[str]:
    """The command of the load generator; raises StartFailed if it is missing."""
    if command := find("wrk"):
        return command
    raise StartFailed(f"wrk, the load generator, is missing: {HOW.format('wrk')}")


@cache
def find(name: str) -> list[str]:
    """The command that starts the program, empty if it is missing."""
    if path := shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES))):
        return [path]
    fetched = [FETCHED / folder / name for folder in ("usr/bin", "usr/sbin")]
    libraries = ":".join(map(str, FETCHED.glob("usr/lib/*-linux-gnu*")))
    return next((["env", f"LD_LIBRARY_PATH={libraries}", str(path)] for path in fetched if path.exists()), [])


def _fetch(name: str) -> None:
    """Unpack the program's Debian package, and the packages that it needs and that are not installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return
    FETCHED.mkdir(parents=True, exist_ok=True)
    plan = ["apt-get", "-s", "install", "--no-install-recommends", name]  # -s: print the plan only
    planned = subprocess.run(plan, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}, check=False)
    packages = re.findall(r"^Inst (\S+)", planned.stdout, re.MULTILINE)
    if packages and run(["apt-get", "download", *packages], FETCHED)[0] == 0:
        for package in FETCHED.glob("*.deb"):
            run(["dpkg", "-x", str(package), str(FETCHED)])
            package.unlink()
