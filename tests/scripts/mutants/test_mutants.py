"""scripts/mutate: the tests that run for a mutant, and the result. cosmic-ray makes the mutants elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mutants import Mutant
from mutants.tests import Recorded
from mutants.trial import Workspace

CODE = """
def double(number):
    return number * 2


def shout(word):
    return word.upper()
"""
TESTS = """
from thing import double, shout

def test_a_number_is_doubled():
    assert double(3) == 6

def test_a_word_is_shouted():
    shout("hello")
"""
DOUBLED = "tests/test_thing.py::test_a_number_is_doubled"
SHOUTED = "tests/test_thing.py::test_a_word_is_shouted"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one module and its tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins take most of the time of such a small run
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    (root / "thing.py").write_text(CODE)
    (root / "tests" / "test_thing.py").write_text(TESTS)
    (root / ".venv").symlink_to(sys.prefix)
    return root


def make_mutant(before: str, after: str) -> Mutant:
    assert before in CODE
    return Mutant("thing.py", "a function", (3, 3), "an operator", CODE.replace(before, after), "0")


def judge(project: Path, mutant: Mutant, *tests: str, start_seconds: float = 600) -> str:
    recorded = Recorded({"thing.py": {3: set(tests)}}, dict.fromkeys(tests, 0.1))
    return Workspace(project, project.parent / "bench", recorded, start_seconds).judge(mutant).killed_by


def test_a_mutant_is_killed_by_the_test_that_notices_it_and_the_project_stays_unchanged(project: Path) -> None:
    assert judge(project, make_mutant("number * 2", "number * 3"), DOUBLED, SHOUTED) == DOUBLED
    assert (project / "thing.py").read_text() == CODE
    assert (project.parent / "bench" / "tree" / "thing.py").read_text() == CODE


def test_a_mutant_that_no_test_notices_survives(project: Path) -> None:
    assert judge(project, make_mutant("word.upper()", "None"), SHOUTED) == ""


def test_a_mutant_that_cannot_be_imported_is_killed(project: Path) -> None:
    assert judge(project, make_mutant("def double", "1 / 0\n\ndef double"), DOUBLED) != ""


def test_a_mutant_that_never_ends_is_killed(project: Path) -> None:
    mutant = make_mutant("return number * 2", "while True: pass")
    assert judge(project, mutant, DOUBLED, start_seconds=1) == "time-out"


def test_tests_of_the_module_run_first_and_then_the_fastest() -> None:
    own, fast, slow = (
        "tests/web/photos/test_lookup.py::test_a",
        "tests/web/test_x.py::test_b",
        "tests/web/test_y.py::test_c",
    )
    recorded = Recorded({"web/photos/lookup.py": {7: {slow, fast, own}}}, {own: 3, fast: 1, slow: 2})
    assert recorded.list_tests("web/photos/lookup.py", (6, 7)) == [own, fast, slow]


def test_for_a_line_that_runs_at_import_every_test_of_the_module_runs() -> None:
    recorded = Recorded({"web/photos/lookup.py": {1: set(), 7: {"a"}, 8: {"b"}}}, {})
    assert recorded.list_tests("web/photos/lookup.py", (1, 1)) == ["a", "b"]
