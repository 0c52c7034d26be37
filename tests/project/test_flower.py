"""Flower's configuration file: the newest jobs only, since each costs memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.running import ROOT

SHOW = """
from flower.command import apply_env_options, apply_options
from tornado.options import options
import flower.options
apply_env_options()
apply_options("flower", ["--address=127.0.0.1"])
print(options.max_tasks)
"""


@pytest.mark.parametrize("given", [{}, {"FLOWER_MAX_TASKS": "77"}])
def test_flower_keeps_as_many_jobs_as_the_setting_says(given: dict[str, str]) -> None:
    here = os.environ | {"PYTHONPATH": str(ROOT)} | given
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, env=here, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == given.get("FLOWER_MAX_TASKS", "10000")
