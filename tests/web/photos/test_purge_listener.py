"""The listener thread: finished pictures and purges."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from redis import Redis

from benches.round_trips import counting
from tests.conftest import wait_until
from tests.support.apps import wait_a_minute
from tests.support.redis_kinds import list_masters, subscribed
from warmer.flow.forget import POPS_MAX, WAIT_SECONDS, wait_for_acknowledgements
from warmer.keys import Keys
from warmer.redis_client.clients import connect_listener, connect_worker
from warmer.redis_url import is_cluster
from warmer.settings import load_settings
from web.photos.purge_listener import READ_SECONDS, PurgeListener

_numbers = count(777_000)


@dataclass
class Recorder:
    """Records what listeners receive, in order."""

    heard: list[str] = field(default_factory=list)
    listeners: list[PurgeListener] = field(default_factory=list)
    acknowledged = 0
    stands_still = 0.0  # seconds that the handler of the first "done" takes

    def open(
        self, keys: Keys, connect: Callable[[], Redis] | None = None, read_seconds: float = READ_SECONDS
    ) -> PurgeListener:
        settings = load_settings(telegram_bot_token=f"{keys.prefix.split(':')[1]}:no-bot")
        listener = PurgeListener(
            connect or (lambda: connect_listener(settings)),
            keys,
            on_done=self._hear_done,
            on_purge=lambda message: self.heard.append(f"purge {message}"),
            on_joined=lambda: self.heard.append("joined"),
            on_lost=lambda: self.heard.append("lost"),
            on_acknowledge=self._count_acknowledgement,
            has_slots=is_cluster(settings.redis_url),
            read_seconds=read_seconds,
        )
        self.listeners.append(listener)
        listener.ensure_started()
        return listener

    def _hear_done(self, message: str) -> None:
        seconds, self.stands_still = self.stands_still, 0.0
        time.sleep(seconds)
        self.heard.append(f"done {message}")

    def _count_acknowledgement(self) -> None:
        self.acknowledged += 1

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def keys() -> Keys:
    """This test's own channels: other tests' listeners keep running."""
    return Keys(str(next(_numbers)))


@pytest.fixture
def recorders() -> Iterator[list[Recorder]]:
    """Three recorders, whose listeners are closed at the end."""
    recorders = [Recorder() for _ in range(3)]
    yield recorders
    for recorder in recorders:
        recorder.close()


@pytest.fixture
def recorder(recorders: list[Recorder]) -> Recorder:
    return recorders[0]


def test_the_listener_receives_finished_pictures_and_purges(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    recorder.open(keys)
    wait_until(lambda: recorder.heard == ["joined"])
    redis.publish(keys.done, "a stored")
    redis.publish(keys.purge, "b")
    redis.publish(keys.purge, b"\xff\xfe")
    wait_until(lambda: sorted(recorder.heard) == ["done a stored", "joined", "purge b", "purge \ufffd\ufffd"])


def test_the_listener_reconnects_and_reports_the_loss(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    recorder.open(keys)
    wait_until(lambda: recorder.heard == ["joined"])
    for master in list_masters(redis):
        master.client_kill_filter(_type="pubsub")
    wait_until(lambda: recorder.heard == ["joined", "lost", "joined"])


def test_a_connection_without_an_answer_to_a_ping_is_lost(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    recorder.open(keys, read_seconds=0.2)
    wait_until(lambda: "joined" in recorder.heard)
    redis.client_pause(3000)
    wait_until(lambda: "lost" in recorder.heard)
    wait_until(lambda: recorder.heard[-1] == "joined")


def test_a_process_that_stood_still_has_lost_nothing(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    recorder.stands_still = 6.1  # longer than a connection may be silent; Redis may take half of it for a ping
    recorder.open(keys, read_seconds=1.5)
    wait_until(lambda: recorder.heard == ["joined"])
    for name in "abc":
        redis.publish(keys.done, name)
    wait_until(lambda: recorder.heard == ["joined", "done a", "done b", "done c"])
    redis.publish(keys.purge, "d")
    wait_until(lambda: recorder.heard[4:] == ["purge d"])


def test_a_malformed_message_does_not_end_the_listener(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    recorder.open(keys)
    wait_until(lambda: recorder.heard == ["joined"])
    redis.publish(keys.acknowledge, b"\xff")  # no key: it cannot even be read
    wait_until(lambda: recorder.heard == ["joined", "lost", "joined"])


def test_an_outage_is_logged_once(keys: Keys, recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = load_settings(redis_url="redis://127.0.0.1:1")
    recorder.open(keys, lambda: connect_listener(nowhere))
    wait_until(lambda: len(recorder.heard) >= 3)
    assert caplog.text.count("not listening") == 1


def test_after_all_acknowledgements_every_listener_has_received_the_purge(
    redis: Redis, keys: Keys, recorders: list[Recorder]
) -> None:
    for recorder in recorders:
        recorder.open(keys)
    wait_until(lambda: all(recorder.heard == ["joined"] for recorder in recorders))
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            redis.publish(keys.purge, str(number))
            assert all(pool.map(lambda _: wait_for_acknowledgements(redis, keys), recorders))
            assert all(recorder.heard[-1] == f"purge {number}" for recorder in recorders)
    assert not list(redis.scan_iter(keys.acknowledged("*")))


def test_what_an_acknowledgement_promises_is_done_before_it(
    redis: Redis, keys: Keys, recorders: list[Recorder]
) -> None:
    for recorder in recorders:
        recorder.open(keys)
    wait_until(lambda: all(recorder.heard == ["joined"] for recorder in recorders))
    for number in range(1, 21):
        assert wait_for_acknowledgements(redis, keys)
        assert [recorder.acknowledged for recorder in recorders] == [number] * 3


def test_the_acknowledgements_of_all_processes_come_in_one_round_trip(
    redis: Redis, keys: Keys, recorders: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise a listener that gets no CPU for a moment makes it three.
    monkeypatch.setattr("warmer.flow.forget.POP_SECONDS", 60.0)
    monkeypatch.setattr("warmer.redis_client.clients.Patience", wait_a_minute)
    for recorder in recorders:
        recorder.open(keys)
    wait_until(lambda: all(recorder.heard == ["joined"] for recorder in recorders))
    with connect_worker(load_settings()) as patient, counting() as counts:
        assert wait_for_acknowledgements(patient, keys)
    assert counts[threading.get_ident()].total() == 2  # with that of the message


def test_waiting_for_a_silent_process_ends(redis: Redis, keys: Keys, recorder: Recorder) -> None:
    clock = count(0, WAIT_SECONDS / 4)  # seconds pass with each look at it
    recorder.open(keys)
    wait_until(lambda: recorder.heard == ["joined"])
    with subscribed(redis, keys.acknowledge):
        assert not wait_for_acknowledgements(redis, keys, WAIT_SECONDS, lambda: next(clock))


def test_of_many_silent_processes_a_few_are_awaited_in_one_round_trip(
    redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait may end 0.1 s late: together, those for all of them would end much too late."""
    waits: list[int] = []  # in each round trip
    open_pipeline: Any = redis.pipeline

    def open_noted(**options: Any) -> Any:
        pipe = open_pipeline(**options)
        pop = pipe.blpop
        waits.append(0)

        def note_pop(*args: Any) -> None:
            waits[-1] += 1
            pop(*args)

        pipe.blpop = note_pop
        return pipe

    with ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(subscribed(redis, keys.acknowledge))
        monkeypatch.setattr(redis, "pipeline", open_noted)
        assert not wait_for_acknowledgements(redis, keys, 0.5)
    assert waits[0] == max(waits) == POPS_MAX


def test_without_listeners_there_is_no_wait(redis: Redis, keys: Keys) -> None:
    assert wait_for_acknowledgements(redis, keys)


def test_a_closed_listener_has_no_thread(recorder: Recorder, keys: Keys) -> None:
    others = set(threading.enumerate())
    listener = recorder.open(keys)
    wait_until(lambda: "joined" in recorder.heard)
    (thread,) = (one for one in threading.enumerate() if one.name == "listener" and one not in others)
    listener.close()
    assert not thread.is_alive()
