"""How the fault tests are spread: by module, the longest first, so that none of them is alone at the end."""

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
    "test_telegram",
    "test_layouts",
    "test_releases",
    "test_shutdown",
)


def pytest_configure(config: pytest.Config) -> None:
    """A module shares a service; those with many tests, with which xdist would begin, are the quick ones."""
    if config.getoption("dist", "no") == "load":
        config.option.dist = "loadfile"
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of other folders stay where they are, before these."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place_of(item: pytest.Item) -> int:
        is_here = item.path.is_relative_to(Path(__file__).parent)
        return places.get(item.path.stem, len(places)) if is_here else -1

    items.sort(key=place_of)
