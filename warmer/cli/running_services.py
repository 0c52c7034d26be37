"""Finds services on this machine, for a command that has no settings: it then says where to type it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil

from warmer.sources import FOLDER

SYSTEMD_SETTINGS = Path("/etc/avatar-warmer.env")  # as deploy/units.py names it
COMPOSE_FILES = (Path("deploy/compose.yaml"), Path("compose.yaml"))  # as a clone has it, and as a copy of it
PROJECT_OF_COMPOSE = "name: avatar-warmer\n"
APPS = ("web:create_app()", "web.server.granian:create_app")  # as servers of the web tier are told
CELERY_OPTIONS = ("-A", "warmer")  # of the workers, beat and Flower


def describe_services() -> str:
    """Say how to reach the services of this machine. Returns "" if none is found."""
    mine, others = list_running()
    if mine:
        return f"; a service runs in {' and in '.join(mine)}: type the command there"
    hints = []
    if file := find_compose_file():
        hints.append(f"; under compose, type: docker compose -f {file} exec web avatar-warmer …")
    if SYSTEMD_SETTINGS.exists():
        hints.append(
            f"; the settings of systemd are in {SYSTEMD_SETTINGS}: docs/runbook.md says how to type the command"
        )
    elif others and not hints:
        hints.append(
            f"; a service of {' and of '.join(others)} runs here: docs/runbook.md says how to type the command"
        )
    return "".join(hints)


def find_compose_file() -> Path | None:
    """Return the compose file of the current folder. Returns None without one, or without the .env that it reads."""
    for file in COMPOSE_FILES if Path(".env").is_file() else ():
        with suppress(OSError, UnicodeDecodeError):
            if PROJECT_OF_COMPOSE in file.read_text("utf-8"):
                return file
    return None


def list_running() -> tuple[list[str], list[str]]:
    """Return the folders of the services that this user runs on this machine, and the other users with a service."""
    folders, users = set[str](), set[str]()
    for process in _list_processes():
        with suppress(psutil.Error, OSError):  # it ended, or is not ours to look into
            if process.uids().real == os.getuid():
                folders.add(process.environ().get(FOLDER) or process.cwd())
            else:
                users.add(process.username())
    return sorted(folders), sorted(users)


def _list_processes() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if _is_ours(process.cmdline()):
                yield process


def _is_ours(words: Sequence[str]) -> bool:
    """Return True for a process of the web tier under any server, a worker, beat or Flower, however it was started."""
    return not set(APPS).isdisjoint(words) or CELERY_OPTIONS in pairwise(words)
