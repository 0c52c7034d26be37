"""The counts of each process, in a file of the folder that /metrics reads (`PROMETHEUS_MULTIPROC_DIR`).

prometheus_client maps sparse files: on a full disk the first write to a page ends the process (SIGBUS). Here every byte
of a file is written before it is mapped, and a process without room counts in memory until there is some.

The files of ended processes are folded into one for each type of metric. A process holds a lock on its file, so that
its end shows even if its id is used again. Gauges need none of this: they are read from Redis.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import secrets
import struct
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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

log = logging.getLogger(__name__)


def share_metrics() -> None:
    """Let the metrics that are made from now on count in files of the shared folder, if there is one."""
    values.MmapedDict = FiledCounts  # type: ignore[attr-defined,assignment]  # prometheus_client offers no other way


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
        """Write the whole file in one atomic step. Returns it open and locked; raises OSError if there is no room."""
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

    def __init__(self, filename: str) -> None:
        super().__init__()
        name = Path(filename)
        self._path = name.with_name(f"{name.stem}-{secrets.token_hex(4)}.db")  # process ids are used again
        self._retry_at: float | None = 0.0  # by the monotonic clock; None: the counts are in the file
        self._move()
        with suppress(OSError), _locked(self._path.parent):
            _fold_ended(self._path.parent)

    def _init_value(self, key: str) -> None:
        capacity = self._capacity
        super()._init_value(key)
        if self._capacity > capacity:
            self._move()

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._move()

    def _move(self) -> None:
        """Move the counts from memory to the file. Until there is room, what the file held before stays there."""
        try:
            file = self.save(self._path)
            mapped = mmap.mmap(file.fileno(), self._capacity)
        except OSError as error:
            if not self._retry_at:
                log.warning("no room for metrics, so this process counts in memory: %s", error.strerror)
            self._retry_at = time.monotonic() + RETRY_SECONDS
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
                files = [str(path) for path in self._folder.glob("*.db")]
                merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
                return merged
        except OSError as error:
            log.warning("no metrics of the processes: %s", error.strerror)
            return []


def _fold_ended(folder: Path) -> None:
    """Add the files of ended processes to the one of their type, and delete them."""
    for kind in TYPES:
        folded = folder / f"{kind}_ended.db"
        ended = [path for path in folder.glob(f"{kind}_*.db") if path != folded and not _is_in_use(path)]
        if not ended:
            continue
        sums: dict[str, float] = defaultdict(float)
        for path in (folded, *ended):
            if path.exists():
                for key, value, *_ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]  # as above
                    sums[key] += value
        counts: Any = Counts()
        for key, value in sums.items():
            counts.write_value(key, value, 0.0)
        counts.save(folded).close()
        for path in ended:
            path.unlink()


def _is_in_use(path: Path) -> bool:
    """Returns True while the process that wrote it holds its lock."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No other process folds or reads during the block."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
