"""The Redis round trips of each kind of work, held to their targets."""

from __future__ import annotations

import pytest
from flask import Flask
from redis import Redis

from benches.round_trips import measure
from faketelegram import FakeTelegram
from tests.conftest import API_KEY
from tests.support.receiver import SECRET
from tests.support.web_parts import MakeApp
from warmer.wiring import WorkerContext

TARGETS = {
    "PUT and warming": 27,
    "PUT while a list is remembered": 29,
    "a cold photo": 18,
    "GET recent": 3,
    "GET recent again": 0,
    "DELETE": 7,
}
WITH_A_WEBHOOK = TARGETS | {
    "PUT and warming": 31,
    "PUT while a list is remembered": 33,
    "a cold photo": 19,
    "DELETE": 11,
}


def test_with_a_webhook_each_kind_of_work_takes_a_few_more(
    redis: Redis, telegram: FakeTelegram, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://backend.example.org/hook")  # no worker delivers here
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    counts = measure(make_app(photo_wait=10), telegram, API_KEY)
    assert counts.keys() == WITH_A_WEBHOOK.keys()
    assert {kind: trips for kind, trips in counts.items() if trips.total() > WITH_A_WEBHOOK[kind]} == {}


def test_each_kind_of_work_stays_within_its_round_trips(
    app: Flask, telegram: FakeTelegram, context: WorkerContext
) -> None:
    counts = measure(app, telegram, API_KEY)
    assert counts.keys() == TARGETS.keys()
    assert {kind: trips for kind, trips in counts.items() if trips.total() > TARGETS[kind]} == {}
