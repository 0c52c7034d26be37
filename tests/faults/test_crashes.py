"""Workers that are killed, and pictures that crash them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_picture, wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, run_stage
from tests.support.hooks.sitecustomize import ENDS_THE_PROCESS, HELD_UP, TAKES_LONG
from tests.support.running import PATIENT
from warmer.keys import Keys


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    with run_stage(folder, **PATIENT, FAULT_PICTURES=str(folder)) as stage:
        yield stage


def test_another_worker_stores_the_photos_of_a_killed_one_after_its_lease(
    stage: Stage, folder: Path, figure: Figure
) -> None:
    downloading, encoding = stage.add_people(1), stage.add_people(1, make_picture(TAKES_LONG, TAKES_LONG))
    stage.fake.fail("download", "hang", file_id=next(iter(downloading.values())))
    with ThreadPoolExecutor(2) as clients:
        answers = [*clients.map(stage.get, (downloading | encoding).values())]
    assert {answer.status for answer in answers} == {503}
    wait_until(lambda: stage.fake.calls["download"] >= 2 and (folder / HELD_UP).exists(), DEADLINE)
    for process in stage.processes("worker", "worker2"):
        process.kill()
    killed_at = time.monotonic()
    for name, people in {"mid-download": downloading, "mid-encode": encoding}.items():
        wait_until(lambda: stage.is_stored(*people.values()), LEASE_DEADLINE)  # noqa: B023 - runs before the next iteration
        figure(f"worker killed {name}: its photo is stored", time.monotonic() - killed_at)


@pytest.mark.parametrize("number", [1, 2])
def test_pictures_that_crash_their_workers_are_given_up_while_all_others_become_warm(
    stage: Stage, figure: Figure, number: int
) -> None:
    crashing = stage.add_people(number, make_picture(ENDS_THE_PROCESS, ENDS_THE_PROCESS))
    good = list(stage.add_people(40).items())
    exits, started, later = count_exits(stage), time.monotonic(), [0.0]
    stage.register(dict([*good[:20], *crashing.items(), *good[20:]]))

    def are_given_up_after_others() -> bool:
        put_at = time.monotonic()
        stage.warm(2)
        later.append(time.monotonic() - put_at)
        return all(stage.state_of(user_id) == "unavailable" for user_id in crashing)

    wait_until(are_given_up_after_others, 3 * LEASE_DEADLINE)
    given_up = time.monotonic() - started
    wait_until(lambda: all(stage.is_ready(user_id) for user_id, _ in good), LEASE_DEADLINE)
    name = "a picture that crashes its worker" if number == 1 else f"{number} pictures that crash their worker"
    figure(f"{name}: in the negative cache after three tries", given_up)
    figure(f"{name}: the slowest of the others", max(later))
    wait_until(lambda: {*crashing.values()} <= list_given_up(stage), DEADLINE)
    assert list_given_up(stage) & {*dict(good).values()} == set()
    wait_until(lambda: count_exits(stage) - exits >= 3, DEADLINE)
    assert count_exits(stage) - exits <= 3 * number  # one exit may count for both
    assert {stage.get(file_id).status for file_id in crashing.values()} == {404}


def list_given_up(stage: Stage) -> set[str]:
    """Returns the pictures that the workers' logs call unavailable because of crashes."""
    return set(re.findall(r"(\S+) is unavailable \(crashed\)", stage.log("worker") + stage.log("worker2")))


def count_exits(stage: Stage) -> int:
    """Returns the exits of crashed processes that supervisord has logged."""
    return stage.log("supervisord").count("exit status 70")


def test_pictures_are_complete_after_ten_kills_of_workers(stage: Stage, figure: Figure) -> None:
    people = list(stage.add_people(60).items())
    stage.fake.latency = 0.3
    for kill in range(10):
        calls = stage.fake.calls["getFile"]
        stage.register(dict(people[6 * kill : 6 * kill + 6]))
        wait_until(lambda: stage.fake.calls["getFile"] > calls, LEASE_DEADLINE)  # noqa: B023 - runs before the next iteration
        wait_until(lambda: stage.processes(name_of(kill)), DEADLINE)  # noqa: B023 - as above
        for process in stage.processes(name_of(kill)):
            process.kill()
    killed_at = time.monotonic()
    wait_until(lambda: all(stage.is_ready(user_id) for user_id, _ in people), LEASE_DEADLINE)
    figure("ten kills of workers during 60 warmings: complete after the last", time.monotonic() - killed_at)


def name_of(kill: int) -> str:
    return ("worker", "worker2")[kill % 2]


def test_pictures_that_shared_messages_of_killed_workers_are_all_stored(stage: Stage, figure: Figure) -> None:
    file_ids = list(stage.add_people(300).values())
    keys = Keys(str(stage.fake.world.bot_id))
    stage.fake.latency = 0.5
    stage.request_warming(file_ids)
    with stage.connect() as redis:
        messages: Any = redis.lrange(f"{keys.queue_prefix}warm", 0, -1)
    assert any(b'"subjects": ' in message for message in messages)
    for process in stage.processes("worker", "worker2"):
        process.kill()
    killed_at = time.monotonic()
    stage.fake.latency = 0.02
    wait_until(lambda: all(map(stage.is_stored, file_ids)), 2 * LEASE_DEADLINE)
    figure("workers killed with shared messages: all 300 pictures are stored", time.monotonic() - killed_at)
