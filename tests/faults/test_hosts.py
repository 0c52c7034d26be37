"""Two hosts, each with a whole service, share one Redis and one Telegram and keep the limits of one."""

from __future__ import annotations

import re
import signal
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest
import requests

from faketelegram import FakeTelegram
from tests.conftest import SIGNING_KEY
from tests.support.faults import (
    DEADLINE,
    LEASE_DEADLINE,
    Clients,
    Figure,
    Stage,
    count_picture_calls,
    run_stage_at,
)
from tests.support.redis_nodes import RedisServer
from tests.support.releases import log_of
from tests.support.running import PATIENT, REQUEST_SECONDS
from tests.support.waiting import wait_until
from warmer.keys import Keys
from warmer.photo_urls import sign

RATE = 20
PAUSE_SECONDS = 25
IN_FLIGHT_SECONDS = 15  # until the busiest worker has read the 429 and all others know of it
METHODS = {"getFile", "getUserProfilePhotos", "getChat"}  # that the budget counts


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("shared") / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[tuple[Stage, Stage]]:
    given = {"REDIS_URL": server.url, "TELEGRAM_RATE": str(RATE), "PHOTO_WAIT": "10", **PATIENT}
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    with (
        FakeTelegram(latency=0.02) as fake,
        run_stage_at(fake, here, **given) as one,
        run_stage_at(fake, there, 4, **given) as other,
    ):
        yield one, other


def register_at_both(hosts: tuple[Stage, Stage], people: dict[int, str]) -> None:
    """Register half of the people at each host."""
    for number, host in enumerate(hosts):
        host.register(dict(list(people.items())[number::2]))


def most_within(times: list[float], seconds: float) -> int:
    """Returns the most calls within any window of this length."""
    return max(sum(start <= at < start + seconds for at in times) for start in times)


def test_two_hosts_spend_one_budget(hosts: tuple[Stage, Stage], figure: Figure) -> None:
    one = hosts[0]
    people = one.add_people(10 * RATE)
    one.fake.reset()
    started = time.monotonic()
    register_at_both(hosts, people)
    wait_until(lambda: all(map(one.is_ready, people)), DEADLINE)
    times = [at for at, method, _ in one.fake.log if method in METHODS]
    assert len(times) == len(people)
    wait_until(lambda: all(re.search(r"AgAC\S+ done \[", log_of(host)) for host in hosts), DEADLINE)
    figure("two hosts: most calls to Telegram in one second, at a rate of 20", most_within(times, 1))
    figure("two hosts: calls a second, at a rate of 20", (len(times) - RATE) / (times[-1] - times[0]))
    # Two budgets would take half of this time; a busy machine only takes longer.
    assert times[-1] - started >= (len(times) - RATE) / RATE


def test_both_hosts_keep_a_pause_that_telegram_asked_of_one(hosts: tuple[Stage, Stage], figure: Figure) -> None:
    one, other = hosts
    people = one.add_people(40)
    paused_by = next(iter(people.values()))
    one.fake.reset()
    one.fake.fail("getFile", "too-many-requests", file_id=paused_by, retry_after=PAUSE_SECONDS)
    register_at_both(hosts, people)
    wait_until(lambda: all(map(other.is_ready, people)), DEADLINE)
    refused_at = next(at for at, _, said in one.fake.log if paused_by in str(said))
    began = [at - refused_at for at, _, _ in one.fake.log]
    during = [at for at in began if IN_FLIGHT_SECONDS < at < PAUSE_SECONDS]
    figure("two hosts, 429 with 25 s: calls that began later than 15 s after it", len(during))
    assert during == []


def test_a_picture_requested_at_both_hosts_at_once_is_fetched_once(hosts: tuple[Stage, Stage]) -> None:
    cold = list(hosts[0].add_people(10).values())
    hosts[0].fake.reset()
    with ThreadPoolExecutor(4 * len(cold)) as clients:
        asked = [clients.submit(host.get_when_warm, file_id) for file_id in cold for host in hosts * 2]
    assert {one.result().status for one in asked} == {200}
    assert count_picture_calls(hosts[0].fake) == Counter(getFile=len(cold), download=len(cold))


def test_a_picture_forgotten_at_one_host_is_gone_at_the_other(hosts: tuple[Stage, Stage]) -> None:
    one, other = hosts
    ((user_id, file_id),) = one.warm(1).items()
    with Clients(lambda session: other.get(file_id, session), number=8) as clients:
        wait_until(lambda: len(clients.answers) > 200)  # every process of the other host has it in its cache
        one.forget(user_id)
        done_at = time.monotonic()
        wait_until(lambda: {answer.status for answer in clients.answers[-50:]} == {404}, DEADLINE)
    assert {200, 404} <= {answer.status for answer in clients.answers} <= {200, 404}
    assert {answer.status for answer in clients.since(done_at)} <= {404}


def test_a_new_picture_put_at_one_host_is_served_by_the_other(hosts: tuple[Stage, Stage], figure: Figure) -> None:
    one, other = hosts
    ((user_id, old),) = one.warm(1).items()
    new = next(iter(one.warm(1).values()))
    url = f"{other.service.url}/api/photos/user/{user_id}?size=160&sig={sign(SIGNING_KEY, f'user:{user_id}')}"

    def etag_of(where: str) -> str:
        return requests.get(where, headers={"Accept": "image/webp"}, timeout=REQUEST_SECONDS).headers["ETag"]

    before, after = etag_of(other.url(old)), etag_of(other.url(new))
    assert {etag_of(url) for _ in range(20)} == {before}
    one.register({user_id: new})
    done_at = time.monotonic()
    wait_until(lambda: all(etag_of(url) == after for _ in range(20)), DEADLINE)
    figure("two hosts, a new picture at one: the other shows it", time.monotonic() - done_at)


def test_a_worker_of_the_other_host_wakes_a_waiting_client(hosts: tuple[Stage, Stage], figure: Figure) -> None:
    one, other = hosts
    waits = {file_id: one.get_when_warm(file_id) for file_id in one.add_people(30).values()}
    assert {answer.status for answer in waits.values()} == {200}
    wait_until(lambda: all(f"{file_id} done [hot]" in log_of(one) + log_of(other) for file_id in waits), DEADLINE)
    elsewhere = [answer.seconds for file_id, answer in waits.items() if f"{file_id} done [hot]" in log_of(other)]
    assert len(elsewhere) >= 3
    figure("two hosts: wait for the other's worker, median", statistics.median(elsewhere))


def test_two_beats_enqueue_nothing_twice(hosts: tuple[Stage, Stage], server: RedisServer) -> None:
    one, other = hosts
    late = list(one.add_people(30).values())
    one.fake.reset()
    server.client.zadd(Keys(str(one.fake.world.bot_id)).schedule, dict.fromkeys(late, 0))
    wait_until(lambda: all(map(other.is_stored, late)), DEADLINE)
    assert count_picture_calls(one.fake) == Counter(getFile=len(late), download=len(late))


def test_the_remaining_host_finishes_the_work_of_a_lost_one(hosts: tuple[Stage, Stage], figure: Figure) -> None:
    one, other = hosts
    people = other.add_people(20)
    for file_id in people.values():
        one.fake.fail("download", "hang", file_id=file_id)
    before = one.fake.calls["download"]
    register_at_both(hosts, people)
    wait_until(lambda: one.fake.calls["download"] >= before + len(people), DEADLINE)
    lose(one)
    lost_at = time.monotonic()
    late = other.add_people(5)
    other.register(late)
    assert {other.get_when_warm(file_id).status for file_id in other.add_people(5).values()} == {200}
    wait_until(lambda: all(map(other.is_ready, people | late)), LEASE_DEADLINE)
    figure("two hosts, one lost: all its pictures are warm", time.monotonic() - lost_at)


def lose(host: Stage) -> None:
    """Kill every process of the host at once, as in a power failure."""
    supervisord = psutil.Process(int((host.service.data_dir / "run" / "supervisord.pid").read_text()))
    for process in [supervisord, *supervisord.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
