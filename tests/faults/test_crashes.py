"""Workers that are killed, and pictures that crash them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import make_picture, wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, hooks, run_stage
from tests.support.hooks.sitecustomize import ENDS_THE_PROCESS, HELD_UP, TAKES_LONG


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    with run_stage(folder, **hooks(FAULT_PICTURES=str(folder))) as stage:
        yield stage


def test_another_worker_stores_the_photos_of_a_killed_one_after_its_lease(
    stage: Stage, folder: Path, figure: Figure
) -> None:
    downloading, encoding = stage.add_people(1), stage.add_people(1, make_picture(TAKES_LONG, TAKES_LONG))
    stage.fake.fail("download", "hang", file_id=next(iter(downloading.values())))
    with ThreadPoolExecutor(2) as clients:
        answers = [*clients.map(stage.get, (downloading | encoding).values())]
    assert {answer.status for answer in answers} == {503}
    wait_until(lambda: stage.fake.calls["download"] == 2 and (folder / HELD_UP).exists(), DEADLINE)
    for process in stage.processes("worker", "worker2"):
        process.kill()
    killed_at = time.monotonic()
    for name, people in {"mid-download": downloading, "mid-encode": encoding}.items():
        wait_until(lambda: stage.is_stored(*people.values()), LEASE_DEADLINE)  # noqa: B023 - runs before the next iteration
        figure(f"worker killed {name}: its photo is stored", time.monotonic() - killed_at)


def test_a_picture_that_crashes_its_workers_is_given_up_while_others_are_warmed(stage: Stage, figure: Figure) -> None:
    (user_id,) = (people := stage.add_people(1, make_picture(ENDS_THE_PROCESS, ENDS_THE_PROCESS)))
    started, others = time.monotonic(), [0.0]
    stage.put(user_id, people[user_id])

    def is_given_up_after_others() -> bool:
        put_at = time.monotonic()
        stage.warm(2)
        others.append(time.monotonic() - put_at)
        return stage.state_of(user_id) == "unavailable"

    wait_until(is_given_up_after_others, 3 * LEASE_DEADLINE)
    figure("a picture that crashes its worker: in the negative cache after three tries", time.monotonic() - started)
    figure("a picture that crashes its worker: the slowest of the others", max(others))
    assert "(crashed)" in stage.log("worker") + stage.log("worker2")
    assert stage.log("supervisord").count("exit status 70") == 3
    assert stage.get(people[user_id]).status == 404
