"""What sys.setswitchinterval does to hits: the highest rate, and the waits at half of it.

The loop that answers hits waits for another Python thread for up to this interval. `scripts/bench switch-interval`
prints the figures; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from benches import load, paced, tools
from benches.avatars import store_avatars
from benches.extent import choose
from benches.results import Recorder, show_number
from benches.service import is_up
from benches.testbed import ROOT, Testbed, open_testbed, wait_for
from runner.ports import free_loopback_port

INTERVALS = (5.0, 1.0, 0.5)  # ms; 5 is Python's own
ROUNDS, SECONDS = choose(5, 1), choose(3, 1)
SERVER_CORE, CLIENT_CORE = (0,), (1,)
AVATARS = 24
RATE, P99 = "requests/s", "p99 ms"
FREE, PACED = "hit", "hit, at half of the rate"
ADDED = """

import sys

_begin = post_worker_init


def post_worker_init(worker):
    _begin(worker)
    sys.setswitchinterval({seconds})
"""


def main(say: Callable[[str], None]) -> int:
    """Alternate the intervals; print medians and ranges."""
    tools.prepare(say)
    recorder = Recorder()
    with open_testbed(TELEGRAM_API_URL="http://127.0.0.1:1") as testbed:
        redis = testbed.start_redis(CLIENT_CORE)
        avatars = store_avatars(redis, testbed.keys, AVATARS)
        ports = {interval: start_web(testbed, interval) for interval in INTERVALS}
        file = load.write_requests(testbed.folder / "hits", [(testbed.path_of(one.file_id), "") for one in avatars])
        for port in ports.values():
            load.run(f"http://127.0.0.1:{port}", file, 1, CLIENT_CORE)
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            for interval, port in ports.items():
                measured = load.run(f"http://127.0.0.1:{port}", file, SECONDS, CLIENT_CORE)
                recorder.note(FREE, f"{interval} ms", {RATE: measured.rate, P99: measured.p99})
            half = recorder.list_rounds(FREE, f"{INTERVALS[0]} ms", RATE)[-1] / 2  # the same rate for all
            for interval, port in ports.items():
                at_half = paced.run(port, file, half, SECONDS, CLIENT_CORE)
                recorder.note(PACED, f"{interval} ms", {"p50 ms": at_half.p50, P99: at_half.p99})
    for one in recorder.list_measurements():
        numbers = f"{show_number(one.value)}, {show_number(one.low)} – {show_number(one.high)}, measured {one.times} ×"
        say(f"{one.work}, {one.who}: {one.figure} {numbers}")
    return 0


def start_web(testbed: Testbed, interval: float) -> int:
    """Start one web process with this interval, in milliseconds; its port."""
    config, port = testbed.folder / f"gunicorn-{interval}.conf.py", free_loopback_port()
    text = (ROOT / "gunicorn.conf.py").read_text("utf-8")
    config.write_text(text + ADDED.format(seconds=interval / 1000), "utf-8")
    testbed.start_web(port, SERVER_CORE, "--workers", "1", "--config", str(config))
    wait_for("the web tier", lambda: is_up(port, "/healthz"))
    return port
