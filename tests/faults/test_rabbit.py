"""RabbitMQ as the broker: the whole service with it, and while RabbitMQ is away."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.conftest import wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, run_stage, suspended
from tests.support.rabbit import RabbitServer, run_rabbit
from warmer.broker.start_check import check_servers
from warmer.celery import app as celery
from warmer.errors import ConfigError
from warmer.keys import QUEUES
from warmer.settings import load_settings

EAGER, THREADS = 500, 64
FAST_SECONDS, SLOW_SECONDS = 0.02, 1.0  # per Telegram call


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with run_rabbit(tmp_path_factory.mktemp("rabbit") / "node") as rabbit:
        yield rabbit


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, rabbit: RabbitServer) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("at-rabbit"), CELERY_BROKER_URL=rabbit.url, PHOTO_WAIT="10") as stage:
        yield stage


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("amqp://guest:guest@{}//", ""),
        ("amqp://guest:wrong-{secret}@{}//", "refuses the user name or the password"),
        ("amqp://nobody:{secret}@{}//", "refuses the user name or the password"),
        ("amqp://guest:guest@{}/another", "has no such virtual host, or this user may not use it"),
        ("amqps://guest:guest@{}//", "does not speak TLS: write amqp:// instead of amqps://"),
        ("redis://:{secret}@{}", "is RabbitMQ, not Redis"),
    ],
)
def test_a_broker_that_refuses_what_the_url_says_stops_a_start(
    rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setattr("warmer.broker.greeting.ANSWER_SECONDS", 60.0)  # a busy broker answers late
    monkeypatch.setattr("warmer.broker.start_check.CHECK_SECONDS", 120.0)
    where = f"127.0.0.1:{rabbit.port}"
    settings = load_settings(celery_broker_url=url.format(where, secret="hunter2-hunter2"))
    said = ""
    try:
        check_servers(settings, "CELERY_BROKER_URL")
    except ConfigError as error:
        said = str(error)
    assert "hunter2" not in said
    assert said.startswith(f"CELERY_BROKER_URL: {where} {told}" if told else "")
    assert bool(said) == bool(told)


def test_metrics_report_the_length_of_every_queue(stage: Stage) -> None:
    def list_queues() -> set[str]:
        figures = stage.service.ask("GET", "/metrics").text
        return set(re.findall(r'avatar_queue_length\{queue="(\w+)"\}', figures))

    wait_until(lambda: list_queues() == set(QUEUES), DEADLINE)


def test_a_client_does_not_wait_behind_500_eager_pictures(stage: Stage, figure: Figure) -> None:
    """A worker prefetches from every queue, so that a hot task gets the next thread."""
    eager, hot = list(stage.add_people(EAGER).values()), list(stage.add_people(3).values())
    stage.fake.reset()
    stage.fake.latency = SLOW_SECONDS
    try:
        stage.request_warming(eager)
        wait_until(lambda: stage.fake.traffic.in_flight >= THREADS / 2, DEADLINE)  # of both workers
        before = len(list_asked(stage))
        with ThreadPoolExecutor(len(hot)) as clients:
            seconds = list(clients.map(partial(wait_for_picture, stage), hot))
        figure("RabbitMQ, a miss behind 500, at 2 s a picture: the slowest", max(seconds))
    finally:
        stage.fake.latency = FAST_SECONDS
    wait_until(lambda: all(map(stage.is_stored, eager)), LEASE_DEADLINE)
    overtaken = EAGER - max(map(list_asked(stage).index, hot))
    assert overtaken > (EAGER - before) / 2  # most of the pictures that waited when the clients came


def list_asked(stage: Stage) -> list[str]:
    return [str(said["file_id"]) for _, method, said in stage.fake.log if method == "getFile"]


def wait_for_picture(stage: Stage, file_id: str) -> float:
    """Returns the seconds that a client has to repeat its request."""
    started = time.monotonic()
    wait_until(lambda: stage.get(file_id).status == 200, DEADLINE)
    return time.monotonic() - started


def test_other_workers_finish_the_messages_of_a_killed_one(stage: Stage, figure: Figure) -> None:
    people = stage.add_people(10)
    for file_id in people.values():
        stage.fake.fail("download", "hang", file_id=file_id)
    before = stage.fake.calls["download"]
    stage.register(people)
    wait_until(lambda: stage.fake.calls["download"] >= before + len(people), DEADLINE)
    for process in stage.processes("worker", "worker2"):
        process.kill()
    killed_at = time.monotonic()
    wait_until(lambda: all(map(stage.is_ready, people)), LEASE_DEADLINE)
    figure("RabbitMQ, workers killed: all their pictures are warm", time.monotonic() - killed_at)


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_miss_gets_503_while_rabbitmq_is_away(stage: Stage, rabbit: RabbitServer, figure: Figure, how: str) -> None:
    hot = stage.keep_in_memory(*stage.warm(1).values())
    cold = list(stage.add_people(20).values())
    running = {process.pid for process in stage.processes("web", "worker", "worker2", "beat")}
    rabbit.kill() if how == "killed" else rabbit.pause()
    first = stage.get(cold[0])
    rest = [stage.get(file_id) for file_id in cold[1:]]
    assert {stage.get(hot).status for _ in range(50)} == {200}
    assert {(answer.status, answer.retry_after) for answer in (first, *rest)} == {(503, "1")}
    figure(f"RabbitMQ {how}: the first miss gets 503", first.seconds)
    figure(
        f"RabbitMQ {how}: the other misses get 503, median", sorted(answer.seconds for answer in rest)[len(rest) // 2]
    )
    registered = stage.add_people(5)
    stage.register(registered)
    rabbit.start() if how == "killed" else rabbit.go_on()
    back_at = time.monotonic()
    wait_until(lambda: stage.get(cold[0]).status == 200, DEADLINE)
    figure(f"RabbitMQ {how}: a miss is served again", time.monotonic() - back_at)
    wait_until(lambda: all(map(stage.is_ready, registered)), DEADLINE)
    figure(f"RabbitMQ {how}: partners registered meanwhile are warm", time.monotonic() - back_at)
    assert {process.pid for process in stage.processes("web", "worker", "worker2", "beat")} == running


def test_a_worker_sends_an_event_only_once_while_rabbitmq_is_away(rabbit: RabbitServer) -> None:
    """Celery would retry without end and block the worker."""
    with celery.connection_for_write(url=rabbit.url) as connection:
        dispatcher = celery.events.Dispatcher(connection)
        dispatcher.send("worker-online", retry=True)
        rabbit.kill()
        heartbeat = {"type": "worker-heartbeat", "retry": True}
        with ThreadPoolExecutor(1) as telling:
            told = telling.submit(dispatcher.send, **heartbeat)
            try:
                wait_until(told.done, DEADLINE)
            finally:
                rabbit.start()  # ends an endless repetition, too


def test_queued_work_survives_a_crash_of_rabbitmq(stage: Stage, rabbit: RabbitServer, figure: Figure) -> None:
    workers, queued = stage.processes("worker", "worker2"), stage.add_people(20)
    with suspended(workers):
        stage.register(queued)
        rabbit.kill()
        rabbit.start()
    back_at = time.monotonic()
    wait_until(lambda: all(map(stage.is_ready, queued)), LEASE_DEADLINE)  # a lost message is scheduled again after 30 s
    figure("RabbitMQ killed with messages: every queued picture is warm", time.monotonic() - back_at)
