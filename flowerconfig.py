"""How Flower is set up; Flower reads this file from the folder it starts in. Its own options win over this file."""

from __future__ import annotations

import sys

from warmer.settings import load_settings_or_exit

_settings = load_settings_or_exit()
if _settings.flower_basic_auth is None:
    sys.exit("avatar-warmer: FLOWER_BASIC_AUTH: is missing: Flower starts only with a login (user:password)")

port = _settings.flower_port
basic_auth = [_settings.flower_basic_auth.get_secret_value()]
max_tasks = _settings.flower_max_tasks
