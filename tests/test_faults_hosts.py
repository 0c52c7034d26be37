"""Two complete services, as on two hosts, at one Redis: one budget, one pause, one fetch, one memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
import requests

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.faults import Clients, Figure, RedisServer, Stage, let_pass, run_stage_at
from web.waiting import LOOK_SECONDS

pytestmark = pytest.mark.faults
RATE = 10  # calls a second
PAUSE_SECONDS = 5
IN_FLIGHT_SECONDS = 0.5  # until a busy worker has read the 429 and every other one hears of it


class Hosts(NamedTuple):
    one: Stage
    other: Stage


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    server = RedisServer(tmp_path_factory.mktemp("shared") / "redis")
    settings = {"REDIS_URL": server.url, "TELEGRAM_RATE": str(RATE)}
    with (
        FakeTelegram(latency=0.02) as fake,
        run_stage_at(fake, tmp_path_factory.mktemp("one"), **settings) as one,
        run_stage_at(fake, tmp_path_factory.mktemp("other"), **settings) as other,
    ):
        yield Hosts(one, other)
    server.kill()


def register_by_turns(hosts: Hosts, number: int) -> dict[int, str]:
    """So many people, every second of them at the other host."""
    people = hosts.one.add_people(number)
    for place, (user_id, file_id) in enumerate(people.items()):
        assert hosts[place % 2].put(user_id, file_id).status == 201
    return people


def test_two_hosts_keep_one_budget(hosts: Hosts, figure: Figure) -> None:
    fake = hosts.one.fake
    fake.traffic.reset()
    people = register_by_turns(hosts, 60)
    wait_until(lambda: all(map(hosts.one.is_ready, people)), 30)
    calls = [at for at, method, _ in fake.log if method == "getFile"]
    most = max(
        until - since - RATE * (calls[until - 1] - calls[since])
        for since in range(len(calls))
        for until in range(since + 1, len(calls) + 1)
    )
    assert len(calls) == len(people)
    figure("two hosts: calls beyond their common rate, at any time", most, RATE + 1)  # a second's worth


def test_a_pause_that_one_host_is_asked_for_is_kept_by_both(hosts: Hosts, figure: Figure) -> None:
    fake = hosts.one.fake
    fake.traffic.reset()
    (first,) = hosts.one.add_people(1).items()
    fake.fail("getFile", "too-many-requests", file_id=first[1], retry_after=PAUSE_SECONDS)
    assert hosts.one.put(*first).status == 201
    people = register_by_turns(hosts, 20) | dict([first])
    wait_until(lambda: all(map(hosts.other.is_ready, people)), 30)
    refused_at = next(at for at, _, said in fake.log if first[1] in str(said))
    late = [at for at, _, _ in fake.log if IN_FLIGHT_SECONDS < at - refused_at < PAUSE_SECONDS]
    figure("two hosts: calls during a pause", len(late), 0)


def test_a_picture_that_both_are_asked_for_is_fetched_once(hosts: Hosts) -> None:
    fake, people = hosts.one.fake, hosts.one.add_people(5)
    fake.traffic.reset()
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(host.get, file_id) for file_id in people.values() for host in hosts for _ in range(2)]
        assert {answer.result().status for answer in answers} == {200}
    fetched = Counter(
        method for _, method, said in fake.log if any(file_id in str(said) for file_id in people.values())
    )
    assert fetched["getFile"] == len(people)
    assert fake.calls["download"] == len(people)


def test_what_is_forgotten_at_one_host_is_gone_at_the_other(hosts: Hosts) -> None:
    (user_id, file_id), *_ = hosts.one.warm(1).items()
    with Clients(lambda session: hosts.other.get(file_id, session), number=4) as clients:
        wait_until(lambda: len(clients.answers) > 200)
        assert {answer.status for answer in clients.answers} == {200}
        assert hosts.one.ask(f"/api/partner/{user_id}", "DELETE").status == 204
        gone_at = time.monotonic()
        let_pass(1)
    assert {answer.status for answer in clients.answers if answer.at > gone_at} == {404}


def test_who_waits_at_one_host_is_woken_by_a_worker_of_the_other(hosts: Hosts, figure: Figure) -> None:
    waited = {}
    for number, file_id in enumerate(hosts.one.add_people(24).values()):
        wait_until(lambda: hosts.one.fake.traffic.in_flight == 0)
        started = time.monotonic()
        headers = {"X-Request-ID": f"two-hosts-{number:02}"}
        assert requests.get(hosts.one.url(file_id), headers=headers, timeout=10).status_code == 200
        waited[headers["X-Request-ID"]] = time.monotonic() - started
    logs = hosts.other.log("worker") + hosts.other.log("worker2")
    elsewhere = sorted(seconds for name, seconds in waited.items() if name in logs)
    assert elsewhere
    figure("two hosts: a wait for the other's worker, median", elsewhere[len(elsewhere) // 2], LOOK_SECONDS)
