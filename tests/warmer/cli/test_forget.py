"""`avatar-warmer forget`"""

from __future__ import annotations

import pytest

from tests.conftest import listening
from tests.support.cli_parts import answer, call, fail
from warmer.wiring import WorkerContext


def test_forget_asks_for_confirmation(context: WorkerContext) -> None:
    context.people.register(42, "Ann", None)
    result = call("forget", "42", given="n\n")
    assert result.exit_code == 1
    assert "about 1 partner?" in result.stderr
    assert context.people.get(42).is_registered
    assert answer("forget", "--yes", "--json", "42", "42") == {"forgotten": [42], "acknowledged": True}
    assert not context.people.get(42).is_registered


def test_forget_counts_partners_in_words() -> None:
    assert call("forget", "--yes", "--", "42", "-100").stdout == "Forgotten: 2.\n"
    assert "about 2 partners?" in call("forget", "42", "43", given="n\n").stderr


def test_a_missing_purge_acknowledgement_is_an_error(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.flow.forget.WAIT_SECONDS", 0.5)
    with listening(context.redis, context.keys.acknowledge):
        status, line = fail("forget", "--yes", "42")
    assert (status, "repeat the command" in line) == (1, True)
