"""The servers that the benchmark starts from this project's own environment."""

from __future__ import annotations

import requests

from benches.rivals import start_constant
from benches.testbed import BOTH, open_testbed


def test_gunicorn_with_this_services_settings_serves_the_constant_answer() -> None:
    with open_testbed() as testbed:
        testbed.start_redis()
        rival = start_constant(testbed, BOTH, 6000)
        assert requests.get(f"http://127.0.0.1:{rival.port}/any", timeout=30).content == bytes(6000)
