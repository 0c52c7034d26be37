"""What the logs say about processes that ended."""

from __future__ import annotations

import re
import time
from collections import Counter

from runner.folders import Folders
from runner.terminal import say

EXITED = re.compile(r"exited: (?P<name>[\w-]+) \((?P<how>[^;)]*)")
QUIET = 10.0  # seconds between lines about the same process
TAIL = 15  # lines


class Journal:
    """Follows supervisord's log from where it ends now.

    `ends` counts how often each process ended without being asked to; `last` says how, the last time.
    """

    def __init__(self, folders: Folders) -> None:
        self.ends: Counter[str] = Counter()
        self.last: dict[str, str] = {}
        self._folders = folders
        self._log = folders.logs / "supervisord.log"
        self._inode, self._position = self._place()
        self._said: dict[str, float] = {}

    def report(self) -> None:
        """Say which processes have ended since the last call; they are back after a second."""
        for name, how in self._news():
            self.ends[name] += 1
            self.last[name] = how
            if time.monotonic() > self._said.get(name, float("-inf")) + QUIET:
                self._said[name] = time.monotonic()
                say(f"{name} ended ({how}) and is started again; see {self.shown(name)}")

    def shown(self, name: str) -> str:
        """Where a process' own log is, as a person here would type it."""
        return self._folders.shown(self._folders.logs / f"{name}.log")

    def tail(self, name: str) -> str:
        """The end of a process' own log."""
        try:
            text = (self._folders.logs / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL:])

    def _news(self) -> list[tuple[str, str]]:
        inode, size = self._place()
        if inode != self._inode or size < self._position:  # a new file after a rotation
            self._inode, self._position = inode, 0
        if size == self._position:
            return []
        with self._log.open("rb") as log:
            log.seek(self._position)
            complete, newline, _ = log.read().rpartition(b"\n")
        self._position += len(complete) + len(newline)
        return [(match["name"], match["how"]) for match in EXITED.finditer(complete.decode(errors="replace"))]

    def _place(self) -> tuple[int, int]:
        try:
            found = self._log.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size
