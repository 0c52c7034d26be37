"""The machine that the figures were taken on, and the versions of all programs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import distributions, version
from pathlib import Path

import psutil

from benches import peers_env, tools
from runner import redis_server

OURS = ("celery", "flask", "granian", "gunicorn", "hiredis", "pillow", "redis")


def describe_machine() -> dict[str, str]:
    """Date, processor, memory and system, by their names."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": f"{_read_model()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def list_versions() -> dict[str, str]:
    """The versions of this service's parts, of the system's programs, and of the peers."""
    ours = {"Python": platform.python_version()} | {name: version(name) for name in OURS}
    programs = {"wrk": [*tools.need_wrk(), "-v"], "the Redis server": [redis_server.find_server(), "--version"]}
    if nginx := tools.find("nginx"):
        programs["nginx"] = [*nginx, "-v"]
    peers = {}
    for requirements in peers_env.read_groups(peers_env.REQUIREMENTS.read_text()).values():
        for name in (re.split(r"[\[ =]", line)[0] for line in requirements):
            if found := _find_version(name):
                peers[f"{name} (peers)"] = found
    return ours | {name: _ask(command) for name, command in programs.items()} | peers


def _ask(command: list[str]) -> str:
    """The version that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"(?:v=|/|debian/|wrk )(\d[\w.+-]*)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


def _find_version(name: str) -> str:
    """The version of a package in the peers' environments, empty if it is missing."""
    wanted = re.sub(r"[-_.]+", "-", name).lower()
    for environment in peers_env.ENVIRONMENTS:
        for package in distributions(path=[str(path) for path in environment.glob("lib/python*/site-packages")]):
            if re.sub(r"[-_.]+", "-", package.name).lower() == wanted:
                return package.version
    return ""


def _read_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
