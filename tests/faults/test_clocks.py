"""Several beats, and a worker and a beat whose clock is five minutes off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest

from tests.conftest import wait_until
from tests.faults.conftest import has_no_message
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, let_pass, run_stage
from tests.support.running import PATIENT, ROOT, hooks
from warmer.telegram.client import READ_SECONDS

TTL_SECONDS, CHECK_SECONDS, WATCHED_SECONDS = 60, 15, 72
SETTINGS = {"PHOTO_TTL": str(TTL_SECONDS), "PROFILE_CHECK_EVERY": str(CHECK_SECONDS), **PATIENT}
LATE_SECONDS = 7.0  # longer than the interval at which workers take over tasks of dead workers
WORKER = ["worker", "--hostname", "off@%h", "--pool", "threads", "--concurrency", "32"]


@contextmanager
def run_extra(stage: Stage, *arguments: str, clock_seconds: int) -> Iterator[None]:
    """One more process of the service, on a host whose clock is off by this much."""
    (environ, *_) = [process.environ() for process in stage.processes("worker")]
    command = [sys.executable, "-m", "celery", "-A", "warmer", *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ | hooks(FAULT_CLOCK_SECONDS=str(clock_seconds)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("clock-faults"), **SETTINGS) as stage, ExitStack() as others:
        others.enter_context(run_extra(stage, "beat", clock_seconds=0))
        for seconds in (300, -300):
            others.enter_context(run_extra(stage, "beat", clock_seconds=seconds))
        others.enter_context(run_extra(stage, *WORKER, clock_seconds=300))
        wait_until(lambda: "avatar_workers 3.0" in stage.service.ask("GET", "/metrics").text, DEADLINE)
        yield stage


def test_wrong_clocks_cause_no_duplicate_work_and_lose_no_rewarming(stage: Stage, figure: Figure) -> None:
    pinned, following = stage.warm(10), stage.add_people(5)
    stage.register(dict.fromkeys(following))
    wait_until(lambda: all(map(stage.is_ready, following)), DEADLINE)
    stage.fake.reset()
    started = time.monotonic()
    while time.monotonic() < started + WATCHED_SECONDS or count_lookups(stage, following)[0] < 2:
        assert time.monotonic() < started + LEASE_DEADLINE
        assert {stage.state_of(user_id) for user_id in pinned | following} <= {"ready", None}
        let_pass(0.5)
    fetched, (_, most) = stage.fake.calls["download"], count_lookups(stage, following)
    turns = (time.monotonic() - started) / CHECK_SECONDS
    figure("clocks 5 min off: fetches of stored pictures during their renewal", fetched)
    assert fetched <= 1
    figure("four beats: profile lookups, of 5", most)
    assert most <= turns + 1


def count_lookups(stage: Stage, following: dict[int, str]) -> tuple[int, int]:
    """Returns how often Telegram was asked for the least and for the most frequently requested profile."""
    asked = Counter(str(said["user_id"]) for _, method, said in stage.fake.log if method == "getUserProfilePhotos")
    looks = [asked[str(user_id)] for user_id in following]
    return min(looks), max(looks)


def test_a_task_redelivered_by_a_wrong_clock_is_not_repeated(stage: Stage, figure: Figure) -> None:
    people = stage.add_people(10)
    for file_id in people.values():
        stage.fake.fail("download", "late", file_id=file_id, seconds=LATE_SECONDS)
    stage.fake.traffic.reset()
    for user_id, file_id in people.items():
        stage.put(user_id, file_id)
    wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)
    with stage.connect() as redis:
        wait_until(lambda: has_no_message(redis), DEADLINE)  # redelivered messages are done, too
    figure("clocks 5 min off: downloads of 10 pictures", stage.fake.calls["download"])
    began: defaultdict[str, list[float]] = defaultdict(list)
    for at, method, said in list(stage.fake.log):
        if method == "download":
            began[str(said["file_path"])].append(at)
    # A busy machine may cut a download and make it again, but only READ_SECONDS after its start.
    assert sum(later - at < READ_SECONDS for times in began.values() for at, later in pairwise(times)) <= 1
