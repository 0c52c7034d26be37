"""Two releases with the same key layout run side by side, as in every rolling deploy and rollback.

The new release adds fields to records, heartbeats and messages that the old one does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import psutil
import pytest
from celery import Celery

from tests.faults.conftest import KEYS, has_no_message
from tests.support.faults import DEADLINE, Clients, Figure, Stage
from tests.support.releases import MORE_IS_SAID, Deploy, log_of
from tests.support.waiting import wait_until
from warmer.keys import QUEUES
from warmer.redis_url import to_kombu_url


class Pair(NamedTuple):
    """Both releases, running."""

    deploy: Deploy
    old: Stage
    new: Stage

    def read(self, key: str) -> dict[str, object]:
        return dict(json.loads(self.deploy.server.client.get(key) or "{}"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        deploy = Deploy(tmp_path_factory.mktemp("releases"), stack, MORE_IS_SAID)
        yield Pair(deploy, deploy.start("old"), deploy.start("new", 4))


def check_logs(pair: Pair) -> None:
    for release in (pair.old, pair.new):
        assert "Traceback" not in log_of(release)


def test_each_release_does_the_work_that_the_other_enqueues(pair: Pair) -> None:
    people = pair.old.add_people(60)
    releases = (pair.old, pair.new)
    for number, release in enumerate(releases):
        release.register(dict(list(people.items())[number::2]))
    wait_until(lambda: all(map(pair.old.is_ready, people)), DEADLINE)
    wait_until(lambda: all(map(pair.new.is_ready, people)), DEADLINE)
    assert pair.deploy.fake.calls["download"] == len(people)
    for release in releases:
        wait_until(partial(has_warmed_some, release, people), DEADLINE)
    check_logs(pair)


def has_warmed_some(release: Stage, people: dict[int, str]) -> bool:
    return any(f"{file_id} done [warm]" in log_of(release) for file_id in people.values())


def test_fields_of_the_new_release_survive_a_write_by_the_old_one(pair: Pair) -> None:
    (user_id,) = pair.old.add_people(1)
    pair.new.register({user_id: None})
    wait_until(lambda: pair.new.is_ready(user_id), DEADLINE)
    body = {"name": "Renamed"}
    wait_until(lambda: pair.old.ask(f"/api/partner/{user_id}", "PUT", json=body).status == 200, DEADLINE)
    assert pair.read(KEYS.person(user_id)).items() >= {"badge": "gold", "name": "Renamed"}.items()


def test_each_release_reads_the_profiles_that_the_other_looked_up(pair: Pair) -> None:
    ids = list(pair.old.add_people(20))
    for release in (pair.old, pair.new):
        wait_until(partial(are_ready, release, ids), DEADLINE)
    said = [pair.read(KEYS.person(user_id)).get("shape") for user_id in ids]
    assert set(said) == {"round", None}  # each release looked up some
    check_logs(pair)


def are_ready(release: Stage, ids: list[int]) -> bool:
    """Returns True if this release has all pictures of these ids; the request warms missing ones."""
    answer = release.service.ask("POST", "/api/photos/resolve", json={"ids": ids})
    return answer.ok and {photo["status"] for photo in answer.json()["photos"].values()} == {"ready"}


def test_each_release_counts_the_workers_of_both(pair: Pair) -> None:
    for release in (pair.old, pair.new):
        wait_until(partial(counts_workers, release), DEADLINE)


def counts_workers(release: Stage) -> bool:
    """Returns True if this release sees all four workers, finds all well and shows its page."""
    call = partial(release.service.ask, "GET")
    is_well = call("/readyz").json()["status"] == "ok" and call("/ops").status_code == 200
    return is_well and "avatar_workers 4.0" in call("/metrics").text


def test_an_unknown_message_is_dropped_and_crashes_no_worker(pair: Pair) -> None:
    redis, running = pair.deploy.server.client, {process.pid for process in list_workers(pair)}
    with Celery("later", broker=to_kombu_url(pair.deploy.server.url), set_as_current=False) as later:
        later.conf.update(broker_transport_options={"global_keyprefix": KEYS.queue_prefix, "priority_steps": [0]})
        later.conf.accept_content = ["json", "pickle"]
        for queue in QUEUES:
            later.send_task("polish", args=["AgAC"], queue=queue)
            later.send_task("warm", args=["AgAC", "warm"], queue=queue, serializer="pickle")
            later.send_task("warm", queue=queue)
    wait_until(lambda: has_no_message(redis), DEADLINE)
    logged = partial(map, log_of, (pair.old, pair.new))
    wait_until(lambda: "".join(logged()).count("polish") >= len(QUEUES), DEADLINE)
    assert {process.pid for process in list_workers(pair)} == running
    pair.old.warm(5)


def list_workers(pair: Pair) -> list[psutil.Process]:
    return [process for release in (pair.old, pair.new) for process in release.processes("worker", "worker2")]


def test_the_old_release_stops_and_starts_again_without_a_missing_picture(pair: Pair, figure: Figure) -> None:
    before = pair.old.warm(10)
    with Clients(*(lambda session, f=file_id: pair.new.get(f, session) for file_id in before.values())) as clients:
        pair.deploy.stop("old")
        between = pair.new.warm(10)
        back = pair.deploy.start("old", 4)
        pair.deploy.fake.reset()
        assert {back.get(file_id).status for file_id in (before | between).values()} == {200}
        wait_until(
            lambda: {back.ask(f"/api/partner/{user_id}").status for user_id in before | between} == {200}, DEADLINE
        )
    clients.check_served()
    figure("old release back: fetches of stored pictures", pair.deploy.fake.calls["getFile"])
    assert pair.deploy.fake.calls["getFile"] == 0
