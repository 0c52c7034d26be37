"""The Lua scripts of the state room."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from redis import Redis

from warmer.state.scripts import load_script

FOLDER = Path(str(files("warmer.state"))) / "lua"
NAMES = sorted(f"lua/{path.name}" for path in FOLDER.glob("*.lua"))


def test_redis_accepts_every_script(redis: Redis) -> None:
    scripts = {name: load_script(redis, name) for name in NAMES}
    assert [name for name, script in scripts.items() if redis.script_load(script.script) != script.sha] == []


def test_every_script_documents_its_keys_and_arguments() -> None:
    texts = {name: (FOLDER.parent / name).read_text("utf-8") for name in NAMES}
    assert texts
    assert [name for name, text in texts.items() if not re.match(r"-- KEYS: .*?ARGV: ", text, re.DOTALL)] == []


def test_every_script_is_used() -> None:
    rooms = [Path(str(files(package))) for package in ("warmer", "web")]
    code = "\n".join(path.read_text("utf-8") for room in rooms for path in room.rglob("*.py"))
    assert [name for name in NAMES if f'load_script(redis, "{name}")' not in code] == []


def test_a_script_is_loaded_again_after_redis_lost_it(redis: Redis) -> None:
    script = load_script(redis, "lua/pause.lua")
    redis.script_flush()
    assert script(keys=["budget"], args=[1]) == 1
