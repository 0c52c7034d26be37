"""Two releases of one layout at once, as every rolling deploy and its rollback have them: other code, the same keys.

The new one says more than the old one knows, in records, heartbeats and messages.
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

from faketelegram import TEST_TOKEN
from tests.support.faults import DEADLINE, Clients, Figure, Stage
from tests.support.releases import MORE_IS_SAID, Deploy, log_of
from tests.support.waiting import wait_until
from warmer.keys import QUEUES, Keys
from warmer.redis_url import to_kombu_url

KEYS = Keys(TEST_TOKEN.partition(":")[0])


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


def check_no_process_has_failed(pair: Pair) -> None:
    for release in (pair.old, pair.new):
        assert "Traceback" not in log_of(release)


def test_either_does_what_the_other_asks_for(pair: Pair) -> None:
    people = pair.old.add_people(60)
    releases = (pair.old, pair.new)
    for number, release in enumerate(releases):
        release.register(dict(list(people.items())[number::2]))
    wait_until(lambda: all(map(pair.old.is_ready, people)), DEADLINE)
    assert all(map(pair.new.is_ready, people))
    assert pair.deploy.fake.calls["download"] == len(people)
    for release in releases:
        assert any(f"{file_id} done [warm]" in log_of(release) for file_id in people.values())
    check_no_process_has_failed(pair)


def test_what_the_new_one_knows_of_a_partner_survives_the_old_one(pair: Pair) -> None:
    (user_id,) = pair.old.add_people(1)
    assert pair.new.put(user_id).status == 201
    wait_until(lambda: pair.new.is_ready(user_id), DEADLINE)
    assert pair.old.ask(f"/api/partner/{user_id}", "PUT", json={"name": "Renamed"}).status == 200
    assert pair.read(KEYS.partner(user_id)).items() >= {"badge": "gold", "name": "Renamed"}.items()


def test_each_reads_what_the_other_has_looked_up(pair: Pair) -> None:
    ids = list(pair.old.add_people(20))
    for release in (pair.old, pair.new):
        wait_until(partial(are_ready, release, ids), DEADLINE)
    said = [pair.read(KEYS.profile(user_id)).get("shape") for user_id in ids]
    assert set(said) == {"round", None}  # some were looked up by each
    check_no_process_has_failed(pair)


def are_ready(release: Stage, ids: list[int]) -> bool:
    """Whether this release has the pictures of these ids; it looks up and warms what is missing."""
    answer = release.service.call("POST", "/api/photos/resolve", json={"ids": ids})
    assert answer.status_code == 200
    return {photo["status"] for photo in answer.json()["photos"].values()} == {"ready"}


def test_each_sees_the_workers_of_both(pair: Pair) -> None:
    for release in (pair.old, pair.new):
        assert "avatar_workers 4.0" in release.service.call("GET", "/metrics").text
        assert release.service.call("GET", "/readyz").json()["status"] == "ok"
        assert release.ask("/ops").status == 200


def test_a_message_that_nobody_understands_is_gone_and_no_worker_with_it(pair: Pair) -> None:
    redis, running = pair.deploy.server.client, {process.pid for process in list_workers(pair)}
    with Celery("later", broker=to_kombu_url(pair.deploy.server.url), set_as_current=False) as later:
        later.conf.update(broker_transport_options={"global_keyprefix": KEYS.queue_prefix, "priority_steps": [0]})
        later.conf.accept_content = ["json", "pickle"]
        for queue in QUEUES:
            later.send_task("polish", args=["AgAC"], queue=queue)
            later.send_task("warm", args=["AgAC", "warm"], queue=queue, serializer="pickle")
            later.send_task("warm", queue=queue)
    wait_until(
        lambda: not redis.exists(f"{KEYS.queue_prefix}unacked", *(KEYS.queue_prefix + name for name in QUEUES)),
        DEADLINE,
    )
    assert log_of(pair.old).count("polish") + log_of(pair.new).count("polish") >= len(QUEUES)
    assert {process.pid for process in list_workers(pair)} == running
    pair.old.warm(5)


def list_workers(pair: Pair) -> list[psutil.Process]:
    return [process for release in (pair.old, pair.new) for process in release.processes("worker", "worker2")]


def test_the_old_one_goes_and_comes_back_and_nothing_is_missing(pair: Pair, figure: Figure) -> None:
    before = pair.old.warm(10)
    with Clients(*(lambda session, f=file_id: pair.new.get(f, session) for file_id in before.values())) as clients:
        pair.deploy.stop("old")
        between = pair.new.warm(10)
        back = pair.deploy.start("old", 4)
        pair.deploy.fake.reset()
        assert {back.get(file_id).status for file_id in (before | between).values()} == {200}
        assert {back.ask(f"/api/partner/{user_id}").status for user_id in before | between} == {200}
    assert {answer.status for answer in clients.answers} == {200}
    figure("old release back: fetches of stored pictures", pair.deploy.fake.calls["getFile"])
    assert pair.deploy.fake.calls["getFile"] == 0
