"""The clients of the benchmark's own, against a real server."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest

from benches.load import BrokenRound, write_requests
from benches.paced import drive, read_requests
from benches.parked import park
from benches.testbed import BOTH
from faketelegram import FakeTelegram
from tests.support.waiting import wait_until

TOKEN = "123456789:FAKE-made-up-for-the-benchmark"


def test_a_paced_client_sends_as_many_requests_as_its_rate_says_and_each_answer_counts(tmp_path: Path) -> None:
    with FakeTelegram(TOKEN) as fake:
        listed = read_requests(write_requests(tmp_path / "paths", [(f"/bot{TOKEN}/getMe", "")]))
        measured = drive(fake_port(fake), cycle(listed), rate=50, seconds=1)
        assert round(measured.rate) == fake.calls["getMe"] == 50
    assert 0 < measured.p50 <= measured.p99


def test_an_answer_that_is_no_good_one_breaks_the_round(tmp_path: Path) -> None:
    with FakeTelegram(TOKEN) as fake, pytest.raises(BrokenRound, match="answered"):
        drive(fake_port(fake), cycle(read_requests(write_requests(tmp_path / "paths", [("/nonsense", "")]))), 50, 1)


def test_parked_clients_are_counted_once_they_are_answered(tmp_path: Path) -> None:
    with FakeTelegram(TOKEN) as fake:
        requests = write_requests(tmp_path / "paths", [(f"/bot{TOKEN}/getMe", "")])
        with park(fake_port(fake), requests, 3, BOTH) as crowd:
            wait_until(lambda: crowd.count_answered() == 3)


def fake_port(fake: FakeTelegram) -> int:
    """Returns the port of its URL."""
    return int(fake.url.rpartition(":")[2])
