"""The Redis round trips of each kind of work, held to their targets."""

from __future__ import annotations

from flask import Flask

from benches.round_trips import measure
from faketelegram import FakeTelegram
from tests.conftest import API_KEY
from warmer.wiring import WorkerContext

TARGETS = {"PUT and warming": 30, "a cold photo": 18, "GET recent": 3, "DELETE": 10}


def test_each_kind_of_work_stays_within_its_round_trips(
    app: Flask, telegram: FakeTelegram, context: WorkerContext
) -> None:
    counts = measure(app, telegram, API_KEY)
    assert {kind: trips for kind, trips in counts.items() if trips.total() > TARGETS[kind]} == {}
