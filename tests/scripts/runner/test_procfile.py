"""Which command stands behind a name of the Procfile."""

from __future__ import annotations

import pytest

from runner.procfile import find_command, read
from runner.terminal import StartFailed
from tests.support.running import ROOT

SERVICES = read(ROOT / "Procfile")


def test_a_line_is_found_by_its_name() -> None:
    assert {name: find_command(SERVICES, name) for name in SERVICES} == SERVICES


def test_a_further_worker_is_the_first_one_under_its_own_name() -> None:
    assert find_command(SERVICES, "worker7") == SERVICES["worker"].replace("worker@%h", "worker7@%h")


@pytest.mark.parametrize("name", ["web2", "beat2", "7", "", "worker-7", "nothing"])
def test_another_name_is_refused_with_the_names_of_all_lines(name: str) -> None:
    with pytest.raises(StartFailed, match="name one of web, worker, worker2, beat, flower"):
        find_command(SERVICES, name)
