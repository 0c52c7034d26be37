"""What a start that was killed has left running is ended by the next one.

Every process of a start carries a mark, random and new each time, in its environment, as do all its descendants: it
tells them from everybody else's, even when process ids have been used again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil

from runner.folders import Folders
from runner.terminal import say

MARK = "AVATAR_WARMER_START"
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}  # else setproctitle, where it is installed, writes titles over the environment
GRACE = 10.0  # seconds; less than a stop, since somebody waits for the new start


def end_leftovers(folders: Folders) -> None:
    """End all processes of the start before this one, and forget what it said about itself."""
    folders.running.unlink(missing_ok=True)
    if ended := end_marked(folders):
        say(f"An earlier start was killed: ended {ended} of its processes.")


def end_marked(folders: Folders, grace: float = GRACE) -> int:
    """End every process that carries the mark, supervisord first because it ends the others in order."""
    if not folders.mark.exists():
        return 0
    mark = folders.mark.read_text()
    found = _carriers(mark)
    if grace:
        supervisord = [process for process in found if _is_supervisord(process)]
        for process in supervisord or found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _wait(found, grace)
    deadline = time.monotonic() + 5
    while (left := _carriers(mark)) and time.monotonic() < deadline:  # again: they may have had children meanwhile
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _wait(left, 1)
    folders.mark.unlink()
    return len(found)


def _carriers(mark: str) -> set[psutil.Process]:
    carriers = {process for process in psutil.process_iter() if _mark_of(process) == mark}
    for process in tuple(carriers):
        with contextlib.suppress(psutil.Error):
            carriers.update(process.children(recursive=True))
    return {process for process in carriers if _is_alive(process)}


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, a zombie, or gone
        return None


def _is_supervisord(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie has ended, even where nobody collects it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
