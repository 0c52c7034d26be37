"""`avatar-warmer webhook`"""

from __future__ import annotations

from contextlib import closing

import pytest
from redis import Redis

from tests.support.cli_parts import answer, call, fail
from tests.support.receiver import SECRET
from warmer.deadline import Deadline
from warmer.settings import load_settings
from warmer.state.outbox import Outbox
from warmer.webhook.receiver import Answer
from warmer.wiring import open_worker_context

URL = "https://backend.example.org/private-path"


@pytest.fixture
def outbox(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setenv("WEBHOOK_URL", URL)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    with closing(open_worker_context(load_settings(), redis)) as context:
        assert context.delivery
        context.people.register(42, "Ann", file_id := "AgACAgIAAxkBAAIBcGab")
        context.people.announce_ready(file_id, lambda _: "abc", Deadline(60))
        return context.delivery.outbox


def test_without_a_webhook_the_command_says_so(redis: Redis) -> None:
    assert fail("webhook") == (1, "Error: WEBHOOK_URL is not set")


def test_it_shows_what_waits_and_what_was_given_up(outbox: Outbox) -> None:
    assert answer("webhook", "--json") == {
        "ids": 1, "late_seconds": 0.0, "failures": 0, "is_stopped": False, "dead": []
    }  # fmt: skip
    sending = outbox.take(42)
    assert sending
    outbox.note_dead(sending, Answer(500, "status 500").reason)
    said = call("webhook").stdout
    assert "Delivering.\n1 id with events to deliver, 0 failures in a row.\n" in said
    assert "Given up: photo.changed of user:42: status 500.\n" in said
    assert "private-path" not in said


def test_resume_ends_a_stop(outbox: Outbox) -> None:
    outbox.stop()
    assert call("webhook").stdout.startswith("Stopped: the receiver answered 410.\n")
    assert call("webhook", "--resume").stdout.startswith("Delivering.\n")
    assert not outbox.is_stopped()
