"""Counts in the shared folder: no room ends no process, and nothing that an ended process counted is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

import pytest

from tests.support.clock import Clock
from tests.support.running import ROOT
from warmer.observe.metric_files import RETRY_SECONDS, Counts, FiledCounts, SharedMetrics

COUNT = """
import os, signal, sys
import warmer.observe.metrics as metrics
def count(number=1):
    metrics.WARMINGS.labels("hot", "done").inc(number)
    metrics.WARM_SECONDS.labels("hot").observe(0.5)
"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


def start(folder: Path, code: str, before: str = "") -> subprocess.Popen[str]:
    """Start a process that runs `before`, opens its files, runs `code`, and then each line that it receives."""
    here = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    lines = "for line in sys.stdin: exec(line); print('done', flush=True)"
    command = [sys.executable, "-c", "\n".join((before, COUNT, code, lines))]
    return subprocess.Popen(command, env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(folder: Path, code: str) -> int:
    """Run this code in a process that counts. Returns its status."""
    with start(folder, code) as process:
        process.communicate()
    return process.returncode


@contextmanager
def running(folder: Path, code: str = "", before: str = "") -> Iterator[subprocess.Popen[str]]:
    with start(folder, code, before) as process:
        try:
            tell(process, "pass")
            yield process
        finally:
            process.stdin.close()  # type: ignore[union-attr]  # a pipe


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Let the process run this line, and wait until it has."""
    assert process.stdin, process.stdout
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"  # type: ignore[union-attr]  # a pipe


def read(folder: Path) -> tuple[float, float]:
    """Returns the counted warmings, and how many of them were timed."""
    samples = [sample for metric in SharedMetrics(str(folder)).collect() for sample in metric.samples]
    sums = {name: 0.0 for name in ("avatar_warmings_total", "avatar_warm_seconds_count")}
    for sample in samples:
        if sample.name in sums and sample.labels["lane"] == "hot":
            sums[sample.name] += sample.value
    return sums["avatar_warmings_total"], sums["avatar_warm_seconds_count"]


def sum_up(folder: Path) -> list[float]:
    """Returns the values of all samples."""
    return [sample.value for metric in SharedMetrics(str(folder)).collect() for sample in metric.samples]


def list_files(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in folder.iterdir())


def test_the_files_of_ended_processes_become_one_for_each_type_and_their_counts_stay(tmp_path: Path) -> None:
    for _ in range(3):
        assert run(tmp_path, "count(2)") == 0
    assert run(tmp_path, "count(5); os.kill(os.getpid(), signal.SIGKILL)") == -9
    assert read(tmp_path) == read(tmp_path) == (11, 4)
    assert list_files(tmp_path) == ["counter_ended.db", "histogram_ended.db"]


def test_a_starting_process_folds_the_files_of_the_ended_ones_without_a_request_to_metrics(tmp_path: Path) -> None:
    for _ in range(4):
        assert run(tmp_path, "count()") == 0
    assert len(list_files(tmp_path)) == 4  # those of the last one, too
    assert read(tmp_path) == (4, 4)


def test_the_file_of_a_running_process_stays(tmp_path: Path) -> None:
    with running(tmp_path, "count()") as process:
        assert run(tmp_path, "count()") == 0
        assert read(tmp_path) == (2, 2)
        tell(process, "count(3)")
        assert read(tmp_path) == (5, 3)
    assert read(tmp_path) == (5, 3)


def test_thousands_of_ended_processes_leave_two_files_for_each_type_at_most(tmp_path: Path) -> None:
    for _ in range(1000):
        counts = FiledCounts(str(tmp_path / f"counter_{os.getpid()}.db"))
        counts.write_value('["a", "a_total", {}, ""]', 1.0, 0.0)
        counts.close()  # type: ignore[no-untyped-call]  # as the end of its process
        assert len(list(tmp_path.iterdir())) <= 2
    assert sum_up(tmp_path) == [1000]
    assert list_files(tmp_path) == ["counter_ended.db"]
    assert (tmp_path / "counter_ended.db").read_bytes().count(b'"file"') == 1, "it names files that are deleted"


def test_a_process_without_room_counts_in_memory_and_moves_its_counts_once_there_is_room(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))"
    at_once = "; import warmer.observe.metric_files as files; files.RETRY_SECONDS = 0"
    with running(tmp_path, before=limit.format(10_000) + at_once) as process:
        tell(process, "count(4)")
        assert read(tmp_path) == (0, 0)
        assert list_files(tmp_path) == []
        tell(process, limit.format("resource.RLIM_INFINITY"))
        tell(process, "count(3)")
        assert read(tmp_path) == (7, 2)


def test_a_process_without_room_says_so_once_and_keeps_counting(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").touch()  # no folder can be made there
    counts = FiledCounts(str(tmp_path / "taken" / "counter_1.db"), clock)
    for number in (1.0, 2.0, 3.0):
        clock.advance(RETRY_SECONDS)
        counts.write_value('["a", "a_total", {}, ""]', number, 0.0)
    assert counts.read_value('["a", "a_total", {}, ""]')[0] == 3.0  # type: ignore[no-untyped-call]  # as above
    assert [record.message.partition(",")[0] for record in caplog.records] == ["no room for metrics"]
    counts.close()  # type: ignore[no-untyped-call]  # as above


def test_a_file_that_finds_no_room_to_grow_keeps_its_counts_until_there_is_room(tmp_path: Path, clock: Clock) -> None:
    counts = FiledCounts(str(tmp_path / "counter_1.db"), clock)
    [file] = tmp_path.iterdir()
    file.with_suffix(".new").mkdir()  # no file can be written there, as on a full disk
    for number in range(100):
        counts.write_value(f'["a", "a_total", {{"n": "{number:01000}"}}, ""]', 1.0, 0.0)
    assert 0 < len(sum_up(tmp_path)) < 100
    file.with_suffix(".new").rmdir()
    counts.write_value('["a", "a_total", {"n": "one more"}, ""]', 1.0, 0.0)
    assert len(sum_up(tmp_path)) < 100, "it tries again before its time"
    clock.advance(RETRY_SECONDS)
    counts.write_value('["a", "a_total", {}, ""]', 1.0, 0.0)
    assert sum_up(tmp_path) == [1.0] * 102
    counts.close()  # type: ignore[no-untyped-call]  # as above


def test_every_byte_of_a_file_is_written_before_it_is_mapped(tmp_path: Path) -> None:
    """A hole in it would end the process at its first write on a full disk."""
    with running(tmp_path, "count()"):
        for path in tmp_path.iterdir():
            assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_many_labels_make_a_file_grow_without_holes(tmp_path: Path) -> None:
    more = "for n in range(2000): metrics.UPSTREAM_CALLS.labels(f'method {n}', '200').inc()"
    with running(tmp_path, f"{more}\ncount()\n"):
        assert read(tmp_path) == (1, 1)
        (largest,) = tmp_path.glob("counter_*.db")
        assert largest.stat().st_blocks * 512 >= largest.stat().st_size > 1 << 17
    samples = [sample for metric in SharedMetrics(str(tmp_path)).collect() for sample in metric.samples]
    assert sum(sample.value for sample in samples if sample.name == "avatar_upstream_calls_total") == 2000


def test_a_missing_folder_has_no_counts_until_a_process_makes_it(tmp_path: Path) -> None:
    missing = tmp_path / "deep" / "missing"
    assert list(SharedMetrics(str(missing)).collect()) == []
    assert run(missing, "count()") == 0
    assert read(missing) == (1, 1)
    assert S_IMODE(missing.stat().st_mode) == 0o700


BAD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off in an entry": lambda content: content[:100],
    "with zeros instead of entries": lambda content: content[:4] + bytes(len(content) - 4),
    "no counts at all": lambda _: b"no counts at all",
}


@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["counter_1-a.db", "counter_ended.db", "gauge_all_1.db"])
def test_a_damaged_file_stops_no_process_and_takes_no_other_counts_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[bytes], bytes]
) -> None:
    whole = Counts()
    for number in range(50):
        whole.write_value(f'["a", "a_total", {{"n": "{number}"}}, ""]', 1.0, 0.0)  # type: ignore[no-untyped-call]  # as above
    whole.save(tmp_path / name).close()
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    assert read(tmp_path) == read(tmp_path) == (0, 0)
    with running(tmp_path, "count()"):
        assert read(tmp_path) == (1, 1)
    assert read(tmp_path) == (1, 1)
    assert [name in record.getMessage() for record in caplog.records] == [True]


def test_a_file_that_cannot_be_opened_takes_no_other_counts_with_it(tmp_path: Path) -> None:
    (tmp_path / "counter_1-a.db").mkdir()  # a file of another user fails in the same way, but not for root
    assert run(tmp_path, "count()") == run(tmp_path, "count()") == 0
    assert read(tmp_path) == (2, 2)
    assert (tmp_path / "counter_1-a.db").is_dir()


def test_without_room_to_fold_the_counts_of_ended_processes_are_shown_and_folded_later(tmp_path: Path) -> None:
    (tmp_path / "counter_ended.new").mkdir()  # no file can be written there, as on a full disk
    for number in (1, 2):
        counts = FiledCounts(str(tmp_path / f"counter_{number}.db"))
        counts.write_value('["a", "a_total", {}, ""]', 1.0, 0.0)
        counts.close()  # type: ignore[no-untyped-call]  # as above
        assert sum_up(tmp_path) == [number]
    assert list_files(tmp_path) == ["counter_1", "counter_2", "counter_ended.new"]
    (tmp_path / "counter_ended.new").rmdir()
    assert sum_up(tmp_path) == [2]
    assert list_files(tmp_path) == ["counter_ended.db"]


def test_a_file_that_cannot_be_deleted_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        for number in (1, 2, 3):
            counts = FiledCounts(str(tmp_path / f"counter_{number}.db"))
            counts.write_value('["a", "a_total", {}, ""]', 1.0, 0.0)
            assert sum_up(tmp_path) == [number]
            counts.close()  # type: ignore[no-untyped-call]  # as above
            assert sum_up(tmp_path) == sum_up(tmp_path) == [number]
        assert list_files(tmp_path) == ["counter_1", "counter_2", "counter_3", "counter_ended.db"]
    assert sum_up(tmp_path) == [3]
    assert list_files(tmp_path) == ["counter_ended.db"]
