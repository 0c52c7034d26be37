"""`avatar-warmer export`"""

from __future__ import annotations

import sys

import pytest

from tests.conftest import next_id
from tests.support.cli_parts import answer, call
from warmer.photo import PhotoSize
from warmer.wiring import WorkerContext


def test_an_export_can_be_registered_elsewhere_in_the_same_order(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["warmer.cli.export"], "BATCH", 2)  # the name in the package is the command
    file_id, ids = "A" * 30, [next_id(), -next_id(), next_id()]
    for user_id, name, pinned in zip(ids, ("Ann", 'Bob "B", Jr', "Cleo"), (None, file_id, None), strict=True):
        context.people.register(user_id, name, pinned)
    context.people.show(context.people.get(ids[2]), PhotoSize(f"{file_id}x", "found in the profile", 320))
    assert [row["id"] for row in answer("export", "--json")["partners"]] == ids
    told = call("export").stdout
    context.redis.flushall()
    assert call("warm", "--no-wait", "-", given=told).exit_code == 0
    assert [partner.id for partner in context.people.list_recent(5)] == ids[::-1]
    registered = [partner for partner in context.people.get_many(ids) if partner]
    assert [partner.photo_file_id for partner in registered] == [None, file_id, None]
    assert call("export").stdout == told
