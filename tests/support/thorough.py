"""How long tests look: TESTS=all asks for the long versions."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

THOROUGH = os.environ.get("TESTS") == "all"


def bounded(few: int, many: int) -> settings:
    """The settings of a property: the same examples in every run, on a machine of any speed; `many` if THOROUGH."""
    return settings(
        derandomize=True,  # the seed comes from the test's name
        database=None,
        deadline=None,
        max_examples=many if THOROUGH else few,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )
