"""`avatar-warmer purge`"""

from __future__ import annotations

import pytest
from redis import Redis

from tests.support.cli_parts import answer, call
from warmer.keys import Keys
from warmer.wiring import WorkerContext

FID = "A" * 24
pytest_plugins = ["tests.support.cli_fixtures"]
pytestmark = pytest.mark.usefixtures("at_home")


@pytest.mark.parametrize("names", [["--all", "--yes"], [FID], ["42"]])
def test_purge_deletes_pictures(context: WorkerContext, redis: Redis, keys: Keys, names: list[str]) -> None:
    context.people.register(42, "Ann", FID)
    redis.set(keys.preview(FID), "{}")
    assert answer("purge", "--json", *names) == {"purged": 1, "heard": True}
    assert not redis.exists(keys.preview(FID))


def test_purge_all_asks_for_confirmation(redis: Redis, keys: Keys) -> None:
    redis.set(keys.preview(FID), "{}")
    assert call("purge", "--all", given="n\n").exit_code == 1
    assert redis.exists(keys.preview(FID))
    assert call("purge", "--all", given="y\n").stdout == "Purged: 1.\n"
