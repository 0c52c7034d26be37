"""Init data that was verified is remembered for a minute, never beyond its own time, and never what is not valid."""

from __future__ import annotations

import hmac
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.clock import Clock
from tests.support.web_parts import MakeApp, as_user, init_data, new_id
from tests.web.api.conftest import ask
from web.api.callers import CLOCK_SKEW_SECONDS, VERIFIED_MAX, VERIFIED_SECONDS, Caller, VerifiedCallers
from web.wiring import get_web_context

ANN = Caller("user", 42, "Ann")
MAX_AGE = 86_400
SIGNED_AT = 1_700_000_000


@pytest.fixture
def wall_clock() -> Clock:
    return Clock(SIGNED_AT)


@pytest.fixture
def verified(clock: Clock, wall_clock: Clock) -> VerifiedCallers:
    return VerifiedCallers(MAX_AGE, clock, wall_clock)


def test_verified_init_data_is_remembered_for_a_minute(verified: VerifiedCallers, clock: Clock) -> None:
    verified.put("a=1&hash=2", ANN, SIGNED_AT)
    clock.advance(VERIFIED_SECONDS)
    assert verified.get("a=1&hash=2") == ANN
    assert verified.get("a=1&hash=3") is None
    clock.advance(0.1)
    assert verified.get("a=1&hash=2") is None


def test_it_is_never_remembered_beyond_its_own_time(verified: VerifiedCallers, wall_clock: Clock) -> None:
    verified.put("a=1&hash=2", ANN, SIGNED_AT)
    wall_clock.advance(MAX_AGE)
    assert verified.get("a=1&hash=2") == ANN
    wall_clock.advance(1)
    assert verified.get("a=1&hash=2") is None


def test_a_clock_that_is_set_back_ends_it(verified: VerifiedCallers, wall_clock: Clock) -> None:
    verified.put("a=1&hash=2", ANN, SIGNED_AT)
    wall_clock.advance(-CLOCK_SKEW_SECONDS)
    assert verified.get("a=1&hash=2") == ANN
    wall_clock.advance(-1)
    assert verified.get("a=1&hash=2") is None


def test_the_oldest_make_room_and_those_of_the_last_minute_are_not_kept_longer(
    verified: VerifiedCallers, clock: Clock
) -> None:
    for number in range(VERIFIED_MAX + 2):
        verified.put(f"{number}", ANN, SIGNED_AT)
    assert [verified.get(f"{number}") for number in (0, 1)] == [None, None]
    assert all(verified.get(f"{number}") for number in (2, VERIFIED_MAX + 1))
    clock.advance(VERIFIED_SECONDS + 0.1)
    verified.put("another", ANN, SIGNED_AT)
    assert len(verified._verified) == 1


def test_the_init_data_itself_is_not_kept(verified: VerifiedCallers) -> None:
    verified.put("a=1&hash=2", ANN, SIGNED_AT)
    assert "hash=2" not in repr(verified._verified)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The secrets and signatures that were compared."""
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    return compared


def test_the_same_init_data_is_verified_once_in_a_minute(client: FlaskClient, compared: list[bytes]) -> None:
    headers = as_user(new_id(), "Zoë")
    answer = client.post("/api/partner/me", headers=headers)
    assert (answer.status_code, answer.json["name"]) == (201, "Zoë")  # type: ignore[index]
    assert client.get("/api/partner/me", headers=headers).json["name"] == "Zoë"  # type: ignore[index]
    assert len(compared) == 1


@pytest.mark.parametrize(
    "data",
    [
        init_data({"id": 42, "first_name": "Ann"}).replace("Ann", "Bob"),
        init_data({"id": 42, "first_name": "Ann"}, age=90_000),
        init_data({"id": 42, "first_name": "Ann"}, age=-3600),
        init_data({"first_name": "Ann"}),
    ],
    ids=["forged", "expired", "of the future", "of nobody"],
)
def test_wrong_or_expired_init_data_is_never_remembered(
    app: Flask, client: FlaskClient, compared: list[bytes], data: str
) -> None:
    assert [ask(client, f"tma {data}") for _ in range(3)] == [401] * 3
    assert len(compared) == 3
    assert get_web_context(app).api.verified.get(data) is None


@pytest.mark.usefixtures("redis", "telegram")
def test_remembered_init_data_is_401_as_soon_as_it_expires(make_app: MakeApp) -> None:
    clock = Clock(time.time())
    client, data = make_app(wall_clock=clock).test_client(), init_data({"id": 42, "first_name": "Ann"})
    assert [ask(client, f"tma {data}") for _ in range(2)] == [200, 200]
    clock.advance(86_402)
    assert ask(client, f"tma {data}") == 401
