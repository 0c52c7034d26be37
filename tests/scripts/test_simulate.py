"""The command `scripts/simulate`."""

from __future__ import annotations

from click.testing import CliRunner

from planning.simulate import main


def test_a_scenario_that_does_not_exist_is_named() -> None:
    done = CliRunner().invoke(main, ["flood"])
    assert done.exit_code == 2
    assert "no scenario is named 'flood'" in done.output
