"""Programs that a laptop may lack, and that CI has."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def find_program(*names: str) -> str:
    """Returns the path of the first of these that is installed; gives up without any."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return next(filter(None, (shutil.which(name, path=path) for name in names)), "") or give_up(f"no {names[0]} here")


def give_up(why: str) -> NoReturn:
    """Skip on a laptop; fail in CI, where a skip would go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
