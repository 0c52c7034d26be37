"""`avatar-warmer purge` deletes stored pictures, and waiting clients still get theirs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import make_picture, wait_until
from tests.support.cli_parts import answer, call
from tests.support.web_parts import file_url
from warmer.cli.purge_targets import purge_everything, purge_subjects
from warmer.keys import Keys
from warmer.photo import VariantSpec
from warmer.wiring import WorkerContext

FID = "A" * 24


@pytest.fixture
def slow(telegram: FakeTelegram) -> Iterator[FakeTelegram]:
    telegram.latency = 0.3
    yield telegram
    telegram.latency = 0.0


@pytest.mark.parametrize("is_all", [True, False])
def test_partners_tombstones_and_the_schedule_stay(
    context: WorkerContext, redis: Redis, keys: Keys, is_all: bool
) -> None:
    context.people.register(42, "Ann", FID)
    for key in (keys.variant(FID, 80, "webp"), keys.unavailable(FID), keys.lease(FID), keys.forgotten("B" * 24)):
        redis.set(key, "x")
    assert (purge_everything(context) if is_all else purge_subjects(context, [FID])) == 1
    assert not redis.exists(keys.variant(FID, 80, "webp"), keys.unavailable(FID), keys.lease(FID))
    assert redis.exists(keys.forgotten("B" * 24), keys.people(FID), keys.person(42)) == 3
    assert redis.zscore(keys.schedule, FID) is not None


def test_purging_everything_works_in_batches(
    context: WorkerContext, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.cli.purge_targets.SCAN_KEYS", 3)
    for number in range(10):
        redis.set(keys.preview(f"AgACAgIAAxkBAAIB{number:04}"), "{}")
    redis.set(kept := keys.forgotten("AgACAgIAAxkBAAIBgone"), "1")
    assert purge_everything(context) == 10
    assert list(redis.scan_iter("*:{*")) == [kept.encode()]


@pytest.mark.parametrize("is_all", [True, False])
def test_wanted_variants_stay(context: WorkerContext, is_all: bool) -> None:
    store = context.steps.store
    store.redis.sadd(store.keys.wanted(FID), str(VariantSpec(160, "jpeg")))
    assert (purge_everything(context) if is_all else purge_subjects(context, [FID])) == 0
    assert store.redis.smembers(store.keys.wanted(FID)) == {b"160.jpeg"}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("at", ["leased", "stored in part"])
def test_a_client_that_waits_for_a_later_format_still_gets_it(
    context: WorkerContext, client: FlaskClient, slow: FakeTelegram, at: str
) -> None:
    file_id = slow.world.add_file(make_picture())
    key = context.keys.lease(file_id) if at == "leased" else context.keys.preview(file_id)
    with ThreadPoolExecutor(1) as elsewhere:
        answer = elsewhere.submit(client.get, file_url(file_id, size=160), headers={"Accept": "image/jpeg"})
        wait_until(lambda: context.redis.exists(key) or answer.done())
        purge_subjects(context, [file_id])
        assert (answer.result().status_code, answer.result().mimetype) == (200, "image/jpeg")


@pytest.mark.parametrize("names", [["--all", "--yes"], [FID], ["42"]])
def test_purge_deletes_pictures(context: WorkerContext, redis: Redis, keys: Keys, names: list[str]) -> None:
    context.people.register(42, "Ann", FID)
    redis.set(keys.preview(FID), "{}")
    assert answer("purge", "--json", *names) == {"purged": 1, "acknowledged": True}
    assert not redis.exists(keys.preview(FID))


def test_purge_all_asks_for_confirmation(redis: Redis, keys: Keys) -> None:
    redis.set(keys.preview(FID), "{}")
    assert call("purge", "--all", given="n\n").exit_code == 1
    assert redis.exists(keys.preview(FID))
    assert call("purge", "--all", given="y\n").stdout == "Purged: 1.\n"
