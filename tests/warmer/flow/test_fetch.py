"""From a file id to its bytes: the path is kept, and asked for once more when it has expired."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces
from tests.support.remaining import remaining
from warmer.deadline import Errand
from warmer.errors import NotMine, Paused, Postponed, TokenRejected, UpstreamFailed
from warmer.photo import Original
from warmer.state.lease import Claim
from warmer.telegram.client import PathExpired
from warmer.wiring import Workshop

DATA = b"the bytes of a picture"


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    return telegram.world.add_file(DATA)


@pytest.fixture
def claim(shop: Workshop, file_id: str) -> Claim:
    return shop.desk.claims.take(file_id, "warm")


def fetch(shop: Workshop, claim: Claim) -> Original:
    return shop.desk.fetch(claim, Errand.start("warm", 0))


def test_the_bytes_come_with_the_unique_id(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    original = fetch(shop, claim)
    assert original.data == DATA
    assert original.unique_id.startswith("AQAD")
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_known_path_saves_the_call(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    first = fetch(shop, claim)
    assert fetch(shop, claim) == first
    assert telegram.calls == {"getFile": 1, "download": 2}


def test_an_expired_path_is_asked_for_once_more(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    fetch(shop, claim)
    telegram.world.expire_paths(claim.subject)
    assert fetch(shop, claim).data == DATA
    assert telegram.calls == {"getFile": 2, "download": 3}
    assert fetch(shop, claim).data == DATA
    assert telegram.calls["getFile"] == 2


def test_an_expired_path_is_not_tried_again_even_if_there_is_no_other_yet(
    shop: Workshop, claim: Claim, telegram: FakeTelegram
) -> None:
    fetch(shop, claim)
    telegram.world.expire_paths(claim.subject)
    telegram.fail("getFile", "bad-gateway")
    with pytest.raises(UpstreamFailed):
        fetch(shop, claim)
    assert shop.desk.store.get_path(claim.subject) is None


def test_once_more_is_not_twice_more(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    telegram.fail("download", "path-expired", times=None)
    with pytest.raises(PathExpired):
        fetch(shop, claim)
    assert telegram.calls == {"getFile": 2, "download": 2}


def test_a_401_on_a_download_alone_passes(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    telegram.fail("download", "unauthorized")
    with pytest.raises(UpstreamFailed, match="getMe passes"):
        fetch(shop, claim)
    assert telegram.calls == {"getFile": 1, "download": 1, "getMe": 1}
    assert not shop.budget.is_halted()


def test_a_401_that_get_me_confirms_halts_every_call(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    telegram.fail("download", "unauthorized")
    telegram.fail("getMe", "unauthorized")
    with pytest.raises(TokenRejected):
        fetch(shop, claim)
    assert shop.budget.is_halted()


@pytest.mark.parametrize("method", ["getFile", "download"])
def test_a_429_pauses_everybody_as_long_as_telegram_says(
    shop: Workshop, claim: Claim, telegram: FakeTelegram, method: str
) -> None:
    telegram.fail(method, "too-many-requests", retry_after=9)
    with pytest.raises(Paused):
        fetch(shop, claim)
    assert shop.budget.get_pause() == remaining(9)
    calls = telegram.calls
    with pytest.raises(Paused):
        fetch(shop, claim)
    assert telegram.calls == calls


def test_without_a_token_telegram_is_not_asked(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    seconds, _ = shop.redis.time()
    shop.redis.hset(shop.keys.budget, mapping={"tokens": 0, "at": seconds + 3600})
    with pytest.raises(Postponed):
        fetch(shop, claim)
    assert not telegram.calls


def test_with_a_known_path_no_token_is_needed(shop: Workshop, claim: Claim) -> None:
    fetch(shop, claim)
    seconds, _ = shop.redis.time()
    shop.redis.hset(shop.keys.budget, mapping={"tokens": 0, "at": seconds + 3600})
    assert fetch(shop, claim).data == DATA


def test_who_lost_the_claim_downloads_nothing(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    shop.redis.set(shop.keys.claim(claim.subject), "another")
    with pytest.raises(NotMine):
        fetch(shop, claim)
    assert telegram.calls == {"getFile": 1}
    assert not shop.redis.exists(shop.keys.path(claim.subject))


def test_no_key_holds_the_token_or_a_url(shop: Workshop, claim: Claim, telegram: FakeTelegram) -> None:
    fetch(shop, claim)
    assert list_traces(shop.redis, "photos/file_", "documents/file_") == [shop.keys.path(claim.subject)]
    assert list_traces(shop.redis, telegram.token, "http") == []
