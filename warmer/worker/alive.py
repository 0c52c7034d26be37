"""Ends with 0 if a worker of this host, or beat, has sent a heartbeat within 15 s: a health check for containers.

python -m warmer.worker.alive worker, or beat
"""

from __future__ import annotations

import socket
import sys

from redis import Redis

from warmer.keys import Keys
from warmer.redis_client.clients import connect_worker
from warmer.settings import load_settings_or_exit
from warmer.state.workers import read_heartbeats


def is_alive(redis: Redis, keys: Keys, name: str, host: str) -> bool:
    """Returns True if `worker` has a heartbeat of that host, or `beat` one of any host."""
    heartbeats = read_heartbeats(redis, keys)
    if name == "beat":
        return heartbeats.has_beat
    return any(worker.name.startswith(f"{host}-") for worker in heartbeats.workers)


def main(name: str) -> int:
    """Returns the exit status. Raises RedisError if Redis does not answer."""
    settings = load_settings_or_exit()
    with connect_worker(settings, connections=1) as redis:
        return 0 if is_alive(redis, Keys(settings.bot_id), name, socket.gethostname()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
