"""The access log: entries are written in batches by a thread of its own, complete and in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.conftest import wait_until
from web.observe.access_log import AT_ONCE, REST_SECONDS, AccessLog, Entry

counted: list[Entry] = []


@pytest.fixture
def access_log() -> Iterator[AccessLog]:
    counted.clear()

    def count(entries: Sequence[Entry]) -> None:
        counted.extend(entries)

    with closing(AccessLog(count)) as access_log:
        yield access_log


def served(subject: str = "a", at: float = 1_700_000_000.25) -> Entry:
    return Entry(subject, "file", "200", 0.0021, was_hit=True, at=at, method="GET", request_id="an-id")


def test_an_entry_is_written_soon(access_log: AccessLog) -> None:
    access_log.note(served())
    wait_until(lambda: counted == [served()])


def test_each_entry_has_a_line_with_its_own_time(access_log: AccessLog, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "web"):
        for number in range(3):
            access_log.note(served(f"{number}{'x' * 30}", at=1_700_000_000.25 + number))
        access_log.write()
        wait_until(lambda: len(caplog.records) == 3)
    assert caplog.messages == [f"📸 Photo served for {number}{'x' * 19}... in 2ms" for number in range(3)]
    assert [record.created for record in caplog.records] == [1_700_000_000.25 + number for number in range(3)]
    assert {(record.msecs, record.levelname, record.name) for record in caplog.records} == {
        (250, "INFO", "web.observe.access_log")
    }


def test_above_the_log_level_an_entry_is_counted_without_a_line(
    access_log: AccessLog, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "web"):
        access_log.note(served())
        wait_until(lambda: counted)
        access_log.write()
    assert not caplog.records


def test_no_entry_is_lost_when_many_threads_write(access_log: AccessLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: access_log.note(served(str(number))), range(2000)))
    access_log.write()
    wait_until(lambda: len(counted) == 2000)
    assert {entry.subject for entry in counted} == {str(number) for number in range(2000)}


def test_many_entries_are_written_few_at_a_time_for_the_sake_of_the_servers_loop() -> None:
    written: list[int] = []
    rests: list[float] = []
    access_log = AccessLog(lambda entries: written.append(len(entries)), rest=rests.append)
    for number in range(2 * AT_ONCE + 1):
        access_log._entries.append(served(str(number)))  # without the thread
    access_log.write()
    assert (written, rests) == ([AT_ONCE, AT_ONCE, 1], [REST_SECONDS] * 2)


def test_a_counting_failure_does_not_end_the_log(caplog: pytest.LogCaptureFixture) -> None:
    written: list[int] = []

    def count(entries: Sequence[Entry]) -> None:
        written.append(len(entries))
        if len(written) == 1:
            raise OSError("no space left")

    with closing(AccessLog(count)) as access_log:
        access_log.note(served())
        wait_until(lambda: written)
        access_log.note(served())
        wait_until(lambda: len(written) == 2)


def test_the_calling_thread_writes_nothing() -> None:
    """A log line and a counter each cost as much as a hit, so another thread pays for them."""
    writers: set[str] = set()
    with closing(AccessLog(lambda _: writers.add(threading.current_thread().name))) as access_log:
        access_log.note(served())
        wait_until(lambda: writers)
    assert writers <= {"access-log", "access-figures"}


class StoppedReader(logging.Handler):
    """A log that nobody reads until `goes_on` is set: each write hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs, self.goes_on, self.messages = threading.Event(), threading.Event(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.hangs.set()
        assert self.goes_on.wait(60)
        self.messages.append(record.getMessage())


@pytest.fixture
def stopped() -> Iterator[StoppedReader]:
    """The handler of all lines of the web tier."""
    reader, logger = StoppedReader(), logging.getLogger()
    level = logger.level
    logger.addHandler(reader)
    logger.setLevel(logging.INFO)
    yield reader
    reader.goes_on.set()
    logger.setLevel(level)
    logger.removeHandler(reader)


def test_while_nobody_reads_the_log_entries_are_counted_and_few_lines_wait(
    access_log: AccessLog, stopped: StoppedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.observe.access_log.LINES_MAX", 5)
    dropped: list[int] = []
    access_log._count_dropped = dropped.append
    access_log.note(served("first"))
    assert stopped.hangs.wait(60)
    for number in range(8):
        access_log.note(served(str(number)))
    access_log.count()  # as a scrape of /metrics does
    wait_until(lambda: len(counted) == 9)
    assert sum(dropped) == 3
    stopped.goes_on.set()
    missing = "3 lines of served pictures and lists are missing: nobody read the log"
    wait_until(lambda: missing in stopped.messages)
    access_log.note(served("last"))
    wait_until(lambda: stopped.messages[-1].startswith("📸 Photo served for last"))
    assert len(stopped.messages) == 1 + 5 + 1 + 1
    assert stopped.messages.index(missing) == 6, "the number stands at the gap"


def test_closing_waits_for_no_reader_of_the_log(stopped: StoppedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.repeater.CLOSE_SECONDS", 0.05)
    kept: list[Entry] = []
    access_log = AccessLog(kept.extend)
    access_log.note(served())
    assert stopped.hangs.wait(60)
    access_log.note(served("last"))
    access_log.close()
    assert kept == [served(), served("last")]
