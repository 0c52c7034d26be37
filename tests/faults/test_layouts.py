"""Two releases with different key layouts share one Redis and one Telegram and do not affect each other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.faults.conftest import KEYS
from tests.support.faults import DEADLINE, Figure, Stage, count_picture_calls
from tests.support.releases import ANOTHER_LAYOUT, RATE, Deploy, log_of, run_command
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    with ExitStack() as stack:
        yield Deploy(tmp_path_factory.mktemp("layouts"), stack, ANOTHER_LAYOUT)


@pytest.fixture(scope="module")
def both(deploy: Deploy) -> tuple[Stage, Stage]:
    return deploy.start("old"), deploy.start("new")


def read_stored(deploy: Deploy, prefix: str) -> dict[bytes, Any]:
    """Returns the records under this prefix, without the counters and heartbeats that change all the time."""
    redis, passing = (
        deploy.server.client,
        (b"stats:", b"worker:", b"workers", b"beat", b"{probe}", b"slot:", b"budget", b"queue:", b"limits"),
    )
    names = [key for key in redis.scan_iter(f"{prefix}*") if not key.removeprefix(prefix.encode()).startswith(passing)]
    return {key: redis.dump(key) for key in names if redis.type(key) in (b"string", b"set", b"zset")}


def test_neither_release_touches_the_keys_of_the_other(deploy: Deploy, both: tuple[Stage, Stage]) -> None:
    old, new = both
    people = old.warm(20)
    # A picture is ready before its job ends, which chooses the next run and releases the lease.
    wait_until(lambda: not list(deploy.server.client.scan_iter(f"{KEYS.prefix}*:lease")), DEADLINE)
    before = read_stored(deploy, KEYS.prefix)
    deploy.fake.reset()
    new.register(people)
    wait_until(lambda: all(map(new.is_ready, people)), DEADLINE)
    assert {new.get(file_id).status for file_id in people.values()} == {200}
    assert count_picture_calls(deploy.fake) == Counter(
        getFile=len(people), download=len(people)
    )  # the new release starts cold
    assert read_stored(deploy, KEYS.prefix) == before
    new.forget(next(iter(people)))
    assert read_stored(deploy, KEYS.prefix) == before


def test_neither_release_takes_messages_of_the_other(both: tuple[Stage, Stage]) -> None:
    old, new = both
    of_old, of_new = old.warm(10), new.warm(10)
    wait_until(lambda: all(f"{file_id} done" in log_of(old) for file_id in of_old.values()), DEADLINE)
    wait_until(lambda: all(f"{file_id} done" in log_of(new) for file_id in of_new.values()), DEADLINE)
    assert not any(file_id in log_of(new) for file_id in of_old.values())
    assert not any(file_id in log_of(old) for file_id in of_new.values())
    assert "Traceback" not in log_of(old) + log_of(new)


def are_ready(release: Stage, people: dict[int, str]) -> bool:
    return all(map(release.is_ready, people))


def test_each_release_has_its_own_budget(deploy: Deploy, both: tuple[Stage, Stage], figure: Figure) -> None:
    crowds = [release.add_people(5 * RATE) for release in both]
    deploy.fake.reset()
    started = time.monotonic()
    with ThreadPoolExecutor(2) as backends:
        list(backends.map(Stage.register, both, crowds))
    for release, people in zip(both, crowds, strict=True):
        wait_until(partial(are_ready, release, people), DEADLINE)
    times = [at for at, method, _ in deploy.fake.log if method == "getFile"]
    rate = (len(times) - 2 * RATE) / (times[-1] - times[0])
    figure("two layouts: calls to Telegram a second, at a rate of 20 each", rate)
    assert times[-1] - started >= (len(times) - 2 * RATE) / (2 * RATE)  # a busy machine only takes longer


def test_the_new_release_takes_over_and_a_rollback_works(
    deploy: Deploy, both: tuple[Stage, Stage], figure: Figure
) -> None:
    old, new = both
    of_old, of_both = old.warm(10), old.warm(5)
    handed_over = run_command(deploy.roots["old"], old.service, "export")
    run_command(deploy.roots["new"], new.service, "warm", "-", given=handed_over)
    wait_until(lambda: all(map(new.is_ready, of_old | of_both)), DEADLINE)
    deploy.stop("old")
    meanwhile = new.warm(10)
    assert {new.get(file_id).status for file_id in (of_old | of_both | meanwhile).values()} == {200}
    back = deploy.start("old")
    deploy.fake.reset()
    assert {back.get(file_id).status for file_id in of_old.values()} == {200}
    figure("old layout back: fetches of stored pictures", deploy.fake.calls["getFile"])
    assert deploy.fake.calls["getFile"] == 0
    wait_until(lambda: {back.ask(f"/api/partner/{user_id}").status for user_id in of_old} == {200}, DEADLINE)
    wait_until(lambda: {back.ask(f"/api/partner/{user_id}").status for user_id in meanwhile} == {404}, DEADLINE)
    run_command(deploy.roots["old"], back.service, "warm", "-", given=run_command(
        deploy.roots["new"], new.service, "export"))  # fmt: skip
    wait_until(lambda: all(map(back.is_ready, meanwhile)), DEADLINE)
    newest_first = [
        partner["id"] for partner in back.service.ask("GET", "/api/partner/recent?limit=10").json()["partners"]
    ]
    assert newest_first == list(meanwhile)[::-1]
