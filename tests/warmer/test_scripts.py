"""The Lua scripts beside the code."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from redis import Redis

from warmer.scripts import load_script

FOLDER = Path(str(files("warmer"))) / "lua"
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua"))


@pytest.mark.parametrize("name", NAMES)
def test_redis_accepts_the_script(redis: Redis, name: str) -> None:
    assert redis.script_load(load_script(redis, name).script) == load_script(redis, name).sha


@pytest.mark.parametrize("name", NAMES)
def test_the_script_says_what_its_keys_and_arguments_are(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text("utf-8")
    assert re.match(r"-- KEYS: .*?ARGV: ", text, re.DOTALL)


def test_every_script_is_used() -> None:
    code = "\n".join(path.read_text("utf-8") for path in FOLDER.parent.glob("*.py"))
    assert [name for name in NAMES if f'load_script(redis, "{name}")' not in code] == []


def test_a_script_survives_a_redis_that_forgot_it(redis: Redis) -> None:
    script = load_script(redis, "pause")
    redis.script_flush()
    assert script(keys=["budget"], args=[1]) == 1
