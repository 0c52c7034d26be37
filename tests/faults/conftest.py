"""The order of the fault tests: by module, the longest first, so that no long module runs alone at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST_FIRST = (
    "test_crashes",  # three leases of 30 s, one after another
    "test_sentinel",
    "test_canary",
    "test_hosts",
    "test_redis",
    "test_rabbit",
    "test_cluster",
    "test_flood",
    "test_clocks",
    "test_checks",
    "test_telegram",
    "test_layouts",
    "test_releases",
    "test_shutdown",
)


def pytest_configure(config: pytest.Config) -> None:
    """Distribute by file, since a module shares a service, and keep our order, in which the quick tests come last."""
    if config.getoption("dist", "no") == "load":
        config.option.dist = "loadfile"
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the fault tests by LONGEST_FIRST, after the tests of other folders."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place_of(item: pytest.Item) -> int:
        is_here = item.path.is_relative_to(Path(__file__).parent)
        return places.get(item.path.stem, len(places)) if is_here else -1

    items.sort(key=place_of)
