"""Reports processes that ended, from supervisord's log."""

from __future__ import annotations

import re
import time
from collections import Counter

from runner.folders import Folders
from runner.terminal import say

EXITED = re.compile(r"exited: (?P<name>[\w-]+) \((?P<how>[^;)]*)")
QUIET = 10.0  # seconds between two lines about the same process
TAIL = 15  # lines


class ExitLog:
    """Follows supervisord's log from its current end.

    `counts` holds the number of unexpected exits per process, `reasons` the reason of the last one.
    """

    def __init__(self, folders: Folders) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self._folders = folders
        self._log = folders.logs / "supervisord.log"
        self._inode, self._position = self._place()
        self._reported: dict[str, float] = {}

    def report(self) -> None:
        """Print the processes that ended since the last call; supervisord restarts them after a second."""
        for name, how in self._read_new_exits():
            self.counts[name] += 1
            self.reasons[name] = how
            if time.monotonic() > self._reported.get(name, float("-inf")) + QUIET:
                self._reported[name] = time.monotonic()
                say(f"{name} ended ({how}) and restarts; see {self.shown(name)}")

    def shown(self, name: str) -> str:
        """The path of a process' own log, relative to the current folder if it is inside."""
        return self._folders.shown(self._folders.logs / f"{name}.log")

    def tail(self, name: str) -> str:
        """The last lines of a process' own log."""
        try:
            text = (self._folders.logs / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL:])

    def _read_new_exits(self) -> list[tuple[str, str]]:
        inode, size = self._place()
        if inode != self._inode or size < self._position:  # a new file after a rotation
            self._inode, self._position = inode, 0
        if size == self._position:
            return []
        try:
            with self._log.open("rb") as log:
                log.seek(self._position)
                complete, newline, _ = log.read().rpartition(b"\n")
        except OSError:  # it is rotated just now; the next call reads the new one
            return []
        self._position += len(complete) + len(newline)
        return [(match["name"], match["how"]) for match in EXITED.finditer(complete.decode(errors="replace"))]

    def _place(self) -> tuple[int, int]:
        try:
            found = self._log.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size
