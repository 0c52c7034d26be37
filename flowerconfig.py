"""How Flower is set up; Flower reads this file from the folder it starts in. Its own options win over this file."""

from __future__ import annotations

import os
import re
from typing import Any

from warmer.log_line import exit_with
from warmer.observe.logs import configure_logging
from warmer.settings import load_settings_or_exit

_SUBJECT, _RESULT = 21, 35  # characters that the table of tasks has room for, in a window of 1280 px

_settings = load_settings_or_exit()
if _settings.flower_basic_auth is None:
    exit_with("FLOWER_BASIC_AUTH: is missing: Flower starts only with a login (user:password)")

address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")  # only compose sets it: elsewhere nothing outside may reach it
port = _settings.flower_port
basic_auth = [_settings.flower_basic_auth.get_secret_value()]
max_tasks = _settings.flower_max_tasks
tasks_columns = "received,args,result,state,runtime,uuid"
logging = "none"  # of tornado: its handler would be a second one
configure_logging(_settings)


def format_task(task: Any) -> Any:
    """Shorten a copy of a task for the table. The page of the task has all of it, as kwargs and as exception."""
    if found := re.search(r"'([^']+)', '(\w+)'", task.args or ""):
        task.kwargs, task.args = task.args, f"{_shorten(found[1], _SUBJECT)} {found[2]}"
    if task.result:
        task.result = _shorten(task.result.strip("'\""), _RESULT)
    return task


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
