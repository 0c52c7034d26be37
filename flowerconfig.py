"""How Flower is set up; Flower reads this file from the folder it starts in."""

from __future__ import annotations

from warmer.settings import load_settings_or_exit

max_tasks = load_settings_or_exit().flower_max_tasks
