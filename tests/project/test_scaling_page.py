"""docs/scaling.md agrees with the model and with the files beside it."""

from __future__ import annotations

import json

import pytest

from planning import page
from planning.costs import FOLDER
from planning.trial import FIGURES

TEXT = page.PAGE.read_text("utf-8")


def test_every_table_is_generated_from_the_model_or_its_file() -> None:
    assert page.fill(TEXT) == TEXT


def test_a_missing_table_marker_raises_an_error() -> None:
    with pytest.raises(ValueError, match="<!-- sizes -->"):
        page.fill(TEXT.replace("<!-- sizes -->", ""))


def test_the_simulation_was_as_close_to_the_service_as_stated() -> None:
    check = json.loads((FOLDER / "check.json").read_text("utf-8"))
    assert check["allowed"] == 0.25
    assert check["runs"] == 5
    assert [one["figure"] for one in check["figures"]] == list(FIGURES)
    assert [one["figure"] for one in check["figures"] if abs(one["simulated"] / one["real"] - 1) > 0.25] == []


def test_every_scenario_has_a_small_picture() -> None:
    names = ("cold", "viral", "shard", "pause")
    assert [name for name in names if f"(scaling/{name}.png)" not in TEXT] == []
    sizes = {name: (FOLDER / f"{name}.png").stat().st_size for name in names}
    assert {name: size for name, size in sizes.items() if not 10_000 < size < 150_000} == {}


def test_the_figures_of_a_cluster_stand_in_one_place() -> None:
    assert TEXT.count("<!-- cluster -->") == TEXT.count("<!-- /cluster -->") == 1
