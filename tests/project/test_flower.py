"""Flower's configuration file: a login, the port, and the newest jobs only, since each costs memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.running import ROOT

SHOW = """
import json, sys
from flower.command import apply_env_options, apply_options
from tornado.options import options
import flower.options
apply_env_options()
apply_options("flower", [f"--conf={sys.argv[1]}", *sys.argv[2:]])
print(json.dumps({name: getattr(options, name) for name in ("port", "basic_auth", "max_tasks")}))
"""
FORMAT = """
import json, runpy, sys
from types import SimpleNamespace
format_task = runpy.run_path(sys.argv[1])["format_task"]
for task in json.load(sys.stdin):
    print(json.dumps(vars(format_task(SimpleNamespace(**task)))))
"""
LOGIN = "admin:of-the-file"


def start(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Read Flower's options in this folder, with these settings in its `.env`."""
    here = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    command = [sys.executable, "-c", SHOW, str(ROOT / "flowerconfig.py"), *options]
    return subprocess.run(command, cwd=folder, env=here, capture_output=True, text=True, check=False)


def read(folder: Path, *options: str, **environ: str) -> dict[str, Any]:
    done = start(folder, *options, **environ)
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_flower_reads_its_settings_from_dotenv_which_flower_itself_does_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}")
    assert read(tmp_path) == {"port": 5555, "basic_auth": [LOGIN], "max_tasks": 10_000}
    (tmp_path / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}\nFLOWER_PORT=5566\nFLOWER_MAX_TASKS=77")
    assert read(tmp_path) == {"port": 5566, "basic_auth": [LOGIN], "max_tasks": 77}


def test_the_environment_wins_over_dotenv_and_the_command_line_over_both(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}\nFLOWER_PORT=5566")
    environ = {"FLOWER_BASIC_AUTH": "admin:of-the-environment", "FLOWER_PORT": "5577"}
    shown = read(tmp_path, **environ)
    assert (shown["port"], shown["basic_auth"]) == (5577, ["admin:of-the-environment"])
    shown = read(tmp_path, "--port=5588", "--basic_auth=admin:of-the-line", **environ)
    assert (shown["port"], shown["basic_auth"]) == (5588, ["admin:of-the-line"])


def test_flower_without_a_login_ends_with_one_line(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("avatar-warmer: FLOWER_BASIC_AUTH: is missing")
    assert done.stderr.count("\n") == 1


def test_without_a_login_and_with_json_the_line_is_json(tmp_path: Path) -> None:
    done = start(tmp_path, LOG_FORMAT="json")
    assert json.loads(done.stderr)["message"].startswith("FLOWER_BASIC_AUTH: is missing")


def test_long_subjects_and_results_are_shortened_and_whole_on_the_page_of_the_task(tmp_path: Path) -> None:
    args, result = f"['{'A' * 83}', 'hot']", f"'unavailable: not-an-image, {'x' * 80}'"
    tasks = [
        {"args": args, "kwargs": "{}", "result": result},
        {"args": "['user:42', 'warm']", "kwargs": "{}", "result": "'done'"},
        {"args": None, "kwargs": None, "result": None},
    ]
    here = os.environ | {"PYTHONPATH": str(ROOT), "FLOWER_BASIC_AUTH": LOGIN}
    command = [sys.executable, "-c", FORMAT, str(ROOT / "flowerconfig.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=here, input=json.dumps(tasks), capture_output=True, text=True, check=True
    )
    long, short, unknown = (json.loads(line) for line in done.stdout.splitlines())
    assert (long["args"], long["kwargs"]) == (f"{'A' * 20}… hot", args)
    assert (long["result"][:26], len(long["result"])) == ("unavailable: not-an-image,", 35)
    assert (short["args"], short["result"]) == ("user:42 warm", "done")
    assert unknown == tasks[2]
