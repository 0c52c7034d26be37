"""The counts of each process, in a file of the folder that /metrics reads (`PROMETHEUS_MULTIPROC_DIR`).

prometheus_client maps sparse files: on a full disk the first write to a page ends the process (SIGBUS). Here every byte
of a file is written before it is mapped, and a process without room counts in memory until there is some.

The files of ended processes are folded into one for each type of metric. A process holds a lock on its file, so that
its end shows even if its id is used again. A file that cannot be read is left out. Gauges need none of this: they are
read from Redis.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import secrets
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

TYPES = ("counter", "histogram")
FIRST_BYTES = 1 << 16
HEAD_BYTES = 8  # of a file; the first four hold the number of used bytes
RETRY_SECONDS = 10.0
FOLDED = "folded"  # the metric of the entries that name the files whose counts a file of ended processes holds
UNREADABLE = (OSError, RuntimeError, ValueError, struct.error)  # empty, cut off, of another user, or no such file

Values = dict[str, float]

log = logging.getLogger(__name__)


def share_metrics() -> None:
    """Let the metrics that are made from now on count in files of the shared folder, if there is one."""
    values.MmapedDict = FiledCounts  # type: ignore[attr-defined]  # prometheus_client offers no other way


class Counts(MmapedDict):
    """The format of prometheus_client's files, in memory."""

    def __init__(self) -> None:
        self._f: Any = None
        self._positions: dict[str, int] = {}
        self._used = HEAD_BYTES
        self._capacity = FIRST_BYTES
        self._m = mmap.mmap(-1, FIRST_BYTES)
        self._m[:4] = struct.pack("i", HEAD_BYTES)

    def _init_value(self, key: str) -> None:
        """Make room for one more value before prometheus_client would stretch the file."""
        capacity = self._capacity
        while self._used + len(key.encode()) + 64 > capacity:  # 64: the length, padding, value and time of an entry
            capacity *= 2
        if capacity > self._capacity:
            larger = mmap.mmap(-1, capacity)
            larger[: self._used] = self._m[: self._used]
            self._m, self._capacity = larger, capacity
        super()._init_value(key)  # type: ignore[no-untyped-call]  # untyped in prometheus_client

    def save(self, path: Path) -> IO[bytes]:
        """Write the whole file in one atomic step. Returns it open and locked. Raises OSError if there is no room."""
        unfinished = path.with_suffix(".new")
        file = unfinished.open("w+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            rest = self._m[:]
            while rest:  # a disk that is nearly full takes a part
                rest = rest[file.write(rest) :]
            unfinished.replace(path)
        except OSError:
            file.close()
            unfinished.unlink()
            raise
        return file


class FiledCounts(Counts):
    """The counts of one type in one process. prometheus_client calls it with its lock held."""

    def __init__(self, filename: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: tells seconds."""
        super().__init__()
        self._clock = clock
        name = Path(filename)
        self._path = name.with_name(f"{name.stem}-{secrets.token_hex(4)}.db")  # process ids are used again
        self._retry_at: float | None = 0.0  # by that clock. None: the counts are in the file
        self._move()
        with suppress(*UNREADABLE), _locked(self._path.parent):
            _fold_ended(self._path.parent)

    def _init_value(self, key: str) -> None:
        capacity = self._capacity
        super()._init_value(key)
        if self._capacity > capacity:
            self._move()

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        if self._retry_at is not None and self._clock() >= self._retry_at:
            self._move()

    def _move(self) -> None:
        """Move the counts from memory to the file. Until there is room, what the file held before stays there."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self.save(self._path)
            mapped = mmap.mmap(file.fileno(), self._capacity)
        except OSError as error:
            if not self._retry_at:
                log.warning("no room for metrics, so this process counts in memory: %s", error.strerror)
            self._retry_at = self._clock() + RETRY_SECONDS
            return
        if self._f:
            self._f.close()
        self._f, self._m, self._retry_at = file, mapped, None


class SharedMetrics(Collector):
    """The sums of all processes, running and ended; nothing while there is no such folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        try:
            with _locked(self._folder):
                with suppress(OSError):  # no room: a later call folds them
                    _fold_ended(self._folder)
                merged: Iterable[Metric] = MultiProcessCollector.merge(_list_counted(self._folder))  # type: ignore[no-untyped-call]  # untyped in prometheus_client
                return [metric for metric in merged if metric.name != FOLDED]
        except UNREADABLE as error:
            log.warning("no metrics of the processes: %s", getattr(error, "strerror", None) or error)
            return []


def _fold_ended(folder: Path) -> None:
    """Add the files of ended processes to the one of their type, and delete them.

    That one names them, because a file may outlive it: not every file can be deleted, and a process may end in between.
    """
    for kind in TYPES:
        folded = folder / f"{kind}_ended.db"
        sums = (_read(folded) if folded.exists() else None) or {}
        ended = {_name_entry(path): path for path in folder.glob(f"{kind}_*.db") if path != folded and _is_ended(path)}
        found = {entry: _read(path) for entry, path in ended.items() if entry not in sums}
        if new := {entry: counted for entry, counted in found.items() if counted is not None}:
            counts: Any = Counts()
            for key, value in _add(sums, new, ended.keys()).items():
                counts.write_value(key, value, 0.0)
            counts.save(folded).close()
        for entry, path in ended.items():
            if entry in sums or entry in new:
                with suppress(OSError):
                    path.unlink()


def _add(sums: Values, new: dict[str, Values], names: Collection[str]) -> Values:
    """The sums with new values and their names; of the former names, those of files that are still there."""
    added: Values = defaultdict(float)
    for counted in (sums, *new.values()):
        for key, value in counted.items():
            if key in names or not key.startswith(f'["{FOLDED}"'):
                added[key] += value
    return added | dict.fromkeys(new, 0.0)


def _list_counted(folder: Path) -> list[str]:
    """The readable files, without those whose counts another one holds."""
    files = {path: counted for path in folder.glob("*.db") if (counted := _read(path)) is not None}
    held = set().union(*files.values())
    return [str(path) for path in files if _name_entry(path) not in held]


def _name_entry(path: Path) -> str:
    """The key of an entry that names a file, in the form of prometheus_client's keys."""
    return json.dumps([FOLDED, FOLDED, {"file": path.name}, ""])


def _read(path: Path) -> Values | None:
    """Returns the values of a file by their keys, which are JSON. Returns None, and logs once, if it is unreadable."""
    try:
        counted: Values = {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(path)}  # type: ignore[no-untyped-call]  # as above
        for key in counted:
            json.loads(key)
    except UNREADABLE as error:
        _warn_once(path, getattr(error, "strerror", None) or str(error))
        return None
    return counted


@cache
def _warn_once(path: Path, why: str) -> None:
    log.warning("the counts in %s are left out: %s", path, why)


def _is_ended(path: Path) -> bool:
    """Returns True if the process that wrote the file holds its lock no more. Returns False if it cannot be opened."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No other process folds or reads during the block."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
