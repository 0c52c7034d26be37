"""True for the long versions of tests: the environment variable TESTS is `all`."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("TESTS") == "all"


def examples(few: int, many: int) -> int:
    """Returns the number of examples for a property."""
    return many if THOROUGH else few
