"""Whether the long version of a test is wanted: the environment variable TESTS is `all`."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("TESTS") == "all"


def examples(few: int, many: int) -> int:
    """How many examples a property is tried on."""
    return many if THOROUGH else few
