"""From a file id to its bytes: the path is stored, and replaced when it has expired."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces
from tests.support.remaining import remaining
from warmer.deadline import JobContext
from warmer.errors import NotMine, Paused, Postponed, TokenRejected, Unreachable, UpstreamFailed
from warmer.photo import SourceImage
from warmer.state.lease import Lease
from warmer.telegram.client import DownloadUnauthorized, PathExpired
from warmer.wiring import WorkerContext

DATA = b"\0the bytes of a picture"


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    return telegram.world.add_file(DATA)


@pytest.fixture
def lease(context: WorkerContext, file_id: str) -> Lease:
    return context.steps.leases.take(file_id, "warm")


def fetch(context: WorkerContext, lease: Lease) -> SourceImage:
    path = context.steps.store.inspect(lease.subject).path
    return context.steps.fetch(lease, JobContext.start("warm", 0), path)


def test_the_bytes_have_the_unique_id(context: WorkerContext, lease: Lease, telegram: FakeTelegram) -> None:
    source = fetch(context, lease)
    assert source.data == DATA
    assert source.unique_id.startswith("AQAD")
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_stored_path_saves_a_call(context: WorkerContext, lease: Lease, telegram: FakeTelegram) -> None:
    first = fetch(context, lease)
    assert fetch(context, lease) == first
    assert telegram.calls == {"getFile": 1, "download": 2}


def test_an_expired_path_is_replaced_by_a_new_one(context: WorkerContext, lease: Lease, telegram: FakeTelegram) -> None:
    fetch(context, lease)
    telegram.world.expire_paths(lease.subject)
    assert fetch(context, lease).data == DATA
    assert telegram.calls == {"getFile": 2, "download": 3}
    assert fetch(context, lease).data == DATA
    assert telegram.calls["getFile"] == 2


def test_an_expired_path_is_dropped_even_if_get_file_fails(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    fetch(context, lease)
    telegram.world.expire_paths(lease.subject)
    telegram.fail("getFile", "bad-gateway")
    with pytest.raises(UpstreamFailed):
        fetch(context, lease)
    assert context.steps.store.inspect(lease.subject).path is None


def test_a_path_that_keeps_expiring_is_replaced_only_once(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    fetch(context, lease)
    telegram.fail("download", "path-expired", times=None)
    with pytest.raises(PathExpired):
        fetch(context, lease)
    assert telegram.calls == {"getFile": 2, "download": 3}


def test_a_404_for_a_path_that_telegram_just_gave_is_a_failure_of_downloads(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    telegram.fail("download", "path-expired", times=None)
    with pytest.raises(Unreachable) as caught:
        fetch(context, lease)
    assert caught.value.method == "download"
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_401_on_a_download_alone_does_not_halt_calls(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    telegram.fail("download", "unauthorized")
    with pytest.raises(Unreachable, match="401") as caught:
        fetch(context, lease)
    assert caught.value.method == "download"
    assert telegram.calls == {"getFile": 1, "download": 1, "getMe": 1}
    assert not context.budget.is_halted()


@pytest.mark.parametrize("fault", ["bad-gateway", "unknown-refusal"])
def test_a_401_on_a_download_stays_one_if_get_me_does_not_answer(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("download", "unauthorized")
    telegram.fail("getMe", fault)
    with pytest.raises(DownloadUnauthorized):
        fetch(context, lease)


def test_a_401_that_get_me_confirms_halts_every_call(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    telegram.fail("download", "unauthorized")
    telegram.fail("getMe", "unauthorized")
    with pytest.raises(TokenRejected):
        fetch(context, lease)
    assert context.budget.is_halted()


@pytest.mark.parametrize("method", ["getFile", "download"])
def test_a_429_pauses_every_worker_for_the_given_time(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram, method: str
) -> None:
    telegram.fail(method, "too-many-requests", retry_after=9)
    with pytest.raises(Paused):
        fetch(context, lease)
    assert context.budget.get_pause() == remaining(9)
    calls = telegram.calls
    with pytest.raises(Paused):
        fetch(context, lease)
    assert telegram.calls == calls


def test_without_a_token_telegram_is_not_called(context: WorkerContext, lease: Lease, telegram: FakeTelegram) -> None:
    seconds, _ = context.redis.time()
    context.redis.hset(context.keys.budget, mapping={"tokens": 0, "at": seconds + 3600})
    with pytest.raises(Postponed):
        fetch(context, lease)
    assert not telegram.calls


def test_with_a_stored_path_no_token_is_needed(context: WorkerContext, lease: Lease) -> None:
    fetch(context, lease)
    seconds, _ = context.redis.time()
    context.redis.hset(context.keys.budget, mapping={"tokens": 0, "at": seconds + 3600})
    assert fetch(context, lease).data == DATA


def test_a_worker_that_lost_the_lease_downloads_nothing(
    context: WorkerContext, lease: Lease, telegram: FakeTelegram
) -> None:
    context.redis.set(context.keys.lease(lease.subject), "another")
    with pytest.raises(NotMine):
        fetch(context, lease)
    assert telegram.calls == {"getFile": 1}
    assert not context.redis.exists(context.keys.path(lease.subject))


def test_no_key_contains_the_token_or_a_url(context: WorkerContext, lease: Lease, telegram: FakeTelegram) -> None:
    fetch(context, lease)
    assert list_traces(context.redis, "photos/file_", "documents/file_") == [context.keys.path(lease.subject)]
    assert list_traces(context.redis, telegram.token, "http") == []
