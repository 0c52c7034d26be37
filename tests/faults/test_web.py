"""Web processes that are killed, and a person forgotten during other work."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.conftest import list_traces, wait_until
from tests.faults.conftest import KEYS
from tests.support.faults import DEADLINE, Clients, Figure, Stage, suspended
from tests.support.running import hooks

SETTINGS = hooks(PATIENCE="servers")  # a deletion waits only as long as in production
CLIENTS = 16


def list_metric_pids(stage: Stage) -> set[int]:
    """Returns the processes that have a metrics file of their own."""
    files = (stage.service.data_dir / "run" / "metrics").glob("*.db")
    names = (path.stem.partition("_")[2].partition("-")[0] for path in files)
    return {int(name) for name in names if name != "ended"}


@pytest.mark.parametrize("which", ["one of its processes", "its master"])
def test_a_killed_web_process_costs_at_most_its_open_connections(stage: Stage, figure: Figure, which: str) -> None:
    (hot,) = stage.warm(1).values()
    with Clients(lambda session: stage.get(hot, session), number=CLIENTS) as clients:
        wait_until(lambda: len(clients.answers) > 200 and stage.count_hits() > 100, DEADLINE)
        counted = stage.count_hits()
        master, *children = stage.processes("web")
        killed = master if which == "its master" else children[0]
        killed_at = time.monotonic()
        killed.kill()
        wait_until(lambda: len(stage.processes("web")) == 3 and not killed.is_running(), DEADLINE)
        wait_until(lambda: all(answer.status == 200 for answer in clients.answers[-5 * CLIENTS :]), DEADLINE)
        back_after = time.monotonic() - killed_at
        after = len(clients.answers)
        wait_until(lambda: len(clients.answers) > after + 5 * CLIENTS, DEADLINE)
    broken = [answer for answer in clients.answers if answer.status == 0]
    refused = [answer for answer in clients.answers if answer.status == 503]  # new processes start on a loaded machine
    assert {answer.status for answer in clients.answers} <= {200, 0, 503}
    assert {answer.retry_after for answer in refused} <= {"1"}
    assert stage.count_hits() >= counted
    names = ("web", "worker", "worker2", "beat")
    wait_until(lambda: list_metric_pids(stage) <= {one.pid for one in stage.processes(*names)}, DEADLINE)
    figure(f"web, {which} killed: 503s with Retry-After", len(refused))
    figure(f"web, {which} killed: the longest wait for an answer", max(one.seconds for one in clients.answers))
    figure(f"web, {which} killed: every client gets answers again", back_after)
    if which == "one of its processes":
        figure(f"web, {which} killed: broken connections", len(broken))
        assert len(broken) <= CLIENTS


def is_task_logged(stage: Stage, file_id: str) -> bool:
    """Returns True if a worker has logged the outcome."""
    lines = (stage.log("worker") + stage.log("worker2")).splitlines()
    return any("warmer.worker.tasks: " in line and file_id in line for line in lines)


def test_forgetting_a_person_during_a_warming_leaves_no_trace(stage: Stage, figure: Figure) -> None:
    (user_id,) = (people := stage.add_people(1))
    file_id = people[user_id]
    stage.fake.fail("download", "late", file_id=file_id, seconds=1.5)
    before = stage.fake.calls["download"]
    stage.register(people)
    wait_until(lambda: stage.fake.calls["download"] > before, DEADLINE)
    stage.forget(user_id)
    forgotten_at = time.monotonic()
    with stage.connect() as redis:
        wait_until(lambda: all(key.endswith(":unacked") for key in list_traces(redis, user_id, file_id)), DEADLINE)
        figure("forgotten during a warming: only a message is left", time.monotonic() - forgotten_at)
        wait_until(lambda: is_task_logged(stage, file_id), DEADLINE)
        wait_until(lambda: not list_traces(redis, user_id, file_id), DEADLINE)
        figure("forgotten during a warming: the message is gone, too", time.monotonic() - forgotten_at)
    assert {stage.get(file_id).status for _ in range(20)} == {404}


def test_forgetting_a_person_during_requests_leaves_no_cached_copy_in_any_process(stage: Stage, figure: Figure) -> None:
    people = stage.warm(12)
    slowest = 0.0
    for user_id, file_id in people.items():
        with Clients(lambda session: stage.get(file_id, session), number=8, pause=0) as clients:  # noqa: B023 - ends in this iteration
            wait_until(lambda: len(clients.answers) > 20, DEADLINE)
            stage.forget(user_id)
            forgotten_at = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                after = list(pool.map(lambda _: stage.get(file_id), range(40)))  # noqa: B023 - as above
        assert {answer.status for answer in after} == {404}
        assert {one.status for one in clients.answers if one.at > forgotten_at} <= {404}
        slowest = max(slowest, *[one.at + one.seconds - forgotten_at for one in clients.answers if one.status == 200])
    figure("forgotten during requests: the last 200 after the call", slowest)


def count_listeners(redis: Redis) -> int:
    """Returns the number of web processes that subscribe to purges."""
    return int(redis.publish(KEYS.purge, "nobody"))


def test_a_delete_that_one_process_does_not_acknowledge_answers_503_and_can_be_repeated(stage: Stage) -> None:
    (user_id,) = (people := stage.warm(1))
    _, *children = stage.processes("web")
    with stage.connect() as redis:
        wait_until(lambda: stage.get(people[user_id]) and count_listeners(redis) == len(children), DEADLINE)
    with suspended(children[:1]):
        said = {stage.ask(f"/api/partner/{user_id}", "DELETE") for _ in range(3)}
    assert {(answer.status, answer.retry_after) for answer in said if answer.status} == {(503, "1")}
    stage.forget(user_id)
    assert {stage.get(people[user_id]).status for _ in range(20)} == {404}
