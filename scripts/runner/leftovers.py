"""Ends the processes of an earlier start that was killed.

Every process of a start has a mark in its environment, random and new for each start, and its descendants inherit it.
The mark identifies them even if process ids are reused.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from runner.folders import Folders
from runner.terminal import say

PROGRAM = Path(__file__).with_name("supervisord.py")
MARK = "AVATAR_WARMER_START"
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}  # keeps setproctitle, if installed, from overwriting the environment
GRACE = 10.0  # seconds; less than for a stop, since a person waits for the new start


def end_leftovers(folders: Folders) -> None:
    """End all processes of the last start, and delete its settings."""
    folders.running.unlink(missing_ok=True)
    if ended := end_marked(folders):
        say(f"An earlier start was killed: ended {ended} of its processes.")


def end_marked(folders: Folders, grace: float = GRACE) -> int:
    """End every process with the mark, supervisord first: it ends the others in order. Returns their number."""
    if not folders.mark.exists():
        return 0
    mark = folders.mark.read_text()
    found = _list_marked(mark)
    if grace:
        supervisord = [process for process in found if _is_supervisord(process)]
        for process in supervisord or found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _wait(found, grace)
    deadline = time.monotonic() + 5
    while (left := _list_marked(mark)) and time.monotonic() < deadline:  # again: they may have new children
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _wait(left, 1)
    folders.mark.unlink()
    return len(found)


def _list_marked(mark: str) -> set[psutil.Process]:
    marked = {process for process in psutil.process_iter() if _mark_of(process) == mark}
    for process in tuple(marked):
        with contextlib.suppress(psutil.Error):
            marked.update(process.children(recursive=True))
    return {process for process in marked if _is_alive(process)}


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, a zombie, or gone
        return None


def _is_supervisord(process: psutil.Process) -> bool:
    try:
        return str(PROGRAM) in process.cmdline()
    except psutil.Error:
        return False


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    """Returns True if it still runs; a zombie has ended, even if its parent does not collect it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
