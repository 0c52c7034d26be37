"""Clients that wait for a cold picture: 400 at once, and what thousands of them cost while hits go on.

The 400 ask two web processes and every worker, as the Procfile starts them; a call to Telegram takes 300 ms. The
thousands wait where no worker runs, so that none is answered meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches import load, paced, parked
from benches.avatars import store_avatars
from benches.clients import ask_at_once
from benches.extent import choose
from benches.results import Part, Recorder, Row, make_row
from benches.service import NAME, SETTINGS, is_up, measure_memory, start_service
from benches.testbed import BOTH, Testbed, open_testbed, wait_for
from benches.upstream import start_upstream
from runner.ports import free_loopback_port

CROWD, LATENCY = 400, 0.3  # clients; seconds of a call
CROWD_ROUNDS = choose(5, 1)
AT_ONCE = f"{CROWD} clients on one cold picture, {LATENCY * 1000:.0f} ms a call"
PARKED = choose(5_000, 300)  # clients that wait
FEW, MANY = 8, 200  # different pictures that they wait for
WAIT_SECONDS = 10  # the longest allowed
PARKED_ROUNDS, SECONDS = choose(3, 1), choose(3, 1)
RATE = 4_000  # hits a second
AVATARS = 24
HITS = f"{RATE:,} hits/s"
WAITING, WAITING_FOR_MANY = (f"{PARKED:,} clients waiting for {number} pictures" for number in (FEW, MANY))
SERVER_CORE, CLIENT_CORE = (0,), (1,)
ALL: dict[str, Any] = {"limit": CROWD, "limit_reason": "all are answered"}
ONE: dict[str, Any] = {"limit": 1, "limit_reason": "each picture takes one"}
Say = Callable[[str], None]


def run(say: Say) -> Part:
    """First the crowd, then the many."""
    part, recorder = Part("waiting"), Recorder()
    with open_testbed(**SETTINGS) as testbed:
        measure_crowd(testbed, recorder, say)
    for number in range(PARKED_ROUNDS):
        say(f"{WAITING}, round {number + 1} of {PARKED_ROUNDS}")
        with open_testbed(**SETTINGS, PHOTO_WAIT=str(WAIT_SECONDS), TELEGRAM_API_URL="http://127.0.0.1:1") as testbed:
            measure_parked(testbed, recorder)  # a process that had many of them keeps some memory
    part.rows = list_rows(recorder)
    part.measurements = recorder.list_measurements()
    return part


def measure_crowd(testbed: Testbed, recorder: Recorder, say: Say) -> None:
    """All clients request one picture at the same moment; another one in each round."""
    redis = testbed.start_redis()
    upstream = start_upstream(testbed, CROWD_ROUNDS + 2, LATENCY)
    service = start_service(testbed, redis)
    service.warm(upstream.take(1))  # opens the connections to Telegram
    for number in range(CROWD_ROUNDS):
        say(f"{AT_ONCE}, round {number + 1} of {CROWD_ROUNDS}")
        asked, downloaded = upstream.count_each()
        statuses = ask_at_once(service.port, testbed.path_of(upstream.take(1)[0]), CROWD)
        asked_now, downloaded_now = upstream.count_each()
        calls = {"getFile": asked_now - asked, "downloads": downloaded_now - downloaded}
        recorder.note(AT_ONCE, NAME, {"answered 200": statuses.count(200), **calls})


def measure_parked(testbed: Testbed, recorder: Recorder) -> None:
    """The memory of the web tier, and hits at a constant rate, without and with clients that wait."""
    redis = testbed.start_redis(CLIENT_CORE)
    port = free_loopback_port()
    web = testbed.start_web(port, SERVER_CORE)
    wait_for("the web tier", lambda: is_up(port, "/healthz"))
    hits = [(testbed.path_of(one.file_id), "") for one in store_avatars(redis, testbed.keys, AVATARS)]
    file = load.write_requests(testbed.folder / "hits", hits)
    load.run(f"http://127.0.0.1:{port}", file, SECONDS, BOTH)  # both processes get the pictures
    note_hits(recorder, HITS, port, file)
    before = measure_memory([web])
    for waiting, pictures in ((WAITING, FEW), (WAITING_FOR_MANY, MANY)):
        with park(testbed, port, pictures):
            note_hits(recorder, f"{HITS} beside {waiting}", port, file)
            if waiting == WAITING:  # later crowds find the memory of this one
                recorder.note(WAITING, NAME, {"kB each": (measure_memory([web]) - before) * 1000 / PARKED})


@contextmanager
def park(testbed: Testbed, port: int, pictures: int) -> Iterator[None]:
    """Clients wait during this block for so many different pictures, each kind of crowd for its own."""
    cold = [(testbed.path_of(f"AgAC-one-of-{pictures}-that-nobody-fetches-{number}"), "") for number in range(pictures)]
    with parked.park(port, load.write_requests(testbed.folder / "cold", cold), PARKED, CLIENT_CORE) as crowd:
        yield
        if answered := crowd.count_answered():
            raise load.BrokenRound(f"{answered} of {PARKED} clients were answered before the end of the round")


def note_hits(recorder: Recorder, work: str, port: int, file: Path) -> None:
    """A round at a constant rate."""
    measured = paced.run(port, file, RATE, SECONDS, CLIENT_CORE)
    recorder.note(work, NAME, {"p50 ms": measured.p50, "p99 ms": measured.p99})


def list_rows(recorder: Recorder) -> list[Row]:
    """The targets; every round must hold those of the crowd."""

    def crowd(figure: str) -> list[float]:
        return recorder.list_rounds(AT_ONCE, NAME, figure)

    def list_slowdowns(waiting: str) -> list[float]:
        return recorder.list_ratios("p99 ms", (f"{HITS} beside {waiting}", NAME), (HITS, NAME))

    rss, crowds = recorder.list_rounds(WAITING, NAME, "kB each"), (WAITING, WAITING_FOR_MANY)

    return [
        make_row(AT_ONCE, "answered 200", crowd("answered 200"), CROWD, min, unit="", **ALL),
        make_row(AT_ONCE, "getFile", crowd("getFile"), 1, max, is_floor=False, unit="", **ONE),
        make_row(AT_ONCE, "downloads", crowd("downloads"), 1, max, is_floor=False, unit="", **ONE),
        make_row(WAITING, "RSS each", rss, 20.0, is_floor=False, unit="kB", note="without the kernel's memory"),
        *(make_row("p99 of hits", f"without {each}", list_slowdowns(each), 1.5, is_floor=False) for each in crowds),
    ]
