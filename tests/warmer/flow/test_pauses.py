"""A pause that another worker was told of holds for the next step, also in the middle of a fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.backoff import end_backoffs
from tests.warmer.flow.outages import attempt
from warmer.keys import DOWNLOAD, Subject
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.state.budget import Budget
from warmer.wiring import WorkerContext, open_worker_context

PAUSE_SECONDS = 60


class Interruption:
    """Makes another worker pause everybody while Telegram answers the call that a test names."""

    def __init__(self, context: WorkerContext, telegram: FakeTelegram) -> None:
        self.context = context
        self.telegram = telegram
        self.call = ""

    def wait(self, stopped: Event, _seconds: float) -> bool:
        """Instead of the latency of an answer, which is not yet sent."""
        if self.call and self.telegram.log[-1][1] == self.call:
            self.call = ""
            Budget(self.context.redis, self.context.keys, 1000).pause(PAUSE_SECONDS)
        return stopped.is_set()

    def end_pause(self) -> None:
        self.context.redis.hdel(self.context.keys.budget, "paused_until")


@pytest.fixture
def interruption(
    context: WorkerContext, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Interruption]:
    interruption = Interruption(context, telegram)
    monkeypatch.setattr(telegram, "wait", interruption.wait)
    telegram.latency = 0.001
    yield interruption
    telegram.latency = 0.0


@pytest.mark.parametrize(
    ("has_picture", "during", "made"),
    [
        (True, "getUserProfilePhotos", {"getUserProfilePhotos": 1}),
        (False, "getUserProfilePhotos", {"getUserProfilePhotos": 1}),
        (True, "getFile", {"getUserProfilePhotos": 1, "getFile": 1}),
    ],
)
def test_a_pause_that_begins_between_two_steps_stops_the_next_one_and_counts_as_no_failure(
    context: WorkerContext,
    settings: Settings,
    telegram: FakeTelegram,
    interruption: Interruption,
    has_picture: bool,
    during: str,
    made: dict[str, int],
) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture() if has_picture else None)
    person = Subject.of_person(user_id)
    interruption.call = during
    assert attempt(context, person).kind == "postponed"
    assert telegram.calls == made
    assert not context.redis.exists(context.keys.retries(person), context.keys.failures(person))
    interruption.end_pause()
    end_backoffs(context.redis)
    with closing(open_worker_context(settings, connect_worker(settings))) as another:
        assert attempt(another, person).kind == ("done" if has_picture else "unavailable")


def test_a_pause_that_begins_while_an_expired_path_is_refused_lets_no_other_path_be_asked_for(
    context: WorkerContext, telegram: FakeTelegram, interruption: Interruption
) -> None:
    subject = Subject(telegram.world.add_file(make_picture()))
    telegram.fail(DOWNLOAD, "internal-error")
    assert attempt(context, subject).kind == "postponed"  # its path is known now
    telegram.world.expire_paths(subject)
    end_backoffs(context.redis)
    telegram.reset()
    interruption.call = DOWNLOAD
    assert attempt(context, subject).kind == "postponed"
    assert telegram.calls == {DOWNLOAD: 1}


def test_a_pause_that_begins_before_a_known_path_is_used_stops_the_download(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    subject = Subject(telegram.world.add_file(make_picture()))
    telegram.fail(DOWNLOAD, "internal-error")
    attempt(context, subject)
    end_backoffs(context.redis)
    telegram.reset()
    Budget(context.redis, context.keys, 1000).pause(PAUSE_SECONDS)
    assert attempt(context, subject).kind == "postponed"
    assert not telegram.calls


def test_a_pause_that_begins_while_a_good_picture_is_asked_for_lets_it_not_be_downloaded(
    context: WorkerContext, telegram: FakeTelegram, interruption: Interruption
) -> None:
    file_id = telegram.world.add_file(make_picture())
    context.people.register(next_id(), "Good", file_id)
    assert attempt(context, Subject(file_id)).kind == "done"
    telegram.reset()
    interruption.call = "getFile"
    assert context.steps.attempts.cross_check.check(DOWNLOAD) == "unknown"
    assert telegram.calls == {"getFile": 1}
