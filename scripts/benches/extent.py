"""How long a run measures: in full, or shortly with `--quick`, which only shows that every part runs to its end."""

from __future__ import annotations

import sys
from typing import TypeVar

QUICK = "--quick"
IS_QUICK = QUICK in sys.argv  # known before the parts are imported: their constants depend on it
T = TypeVar("T")


def choose(full: T, quick: T) -> T:
    """The value for this run."""
    return quick if IS_QUICK else full
