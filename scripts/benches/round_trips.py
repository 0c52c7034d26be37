"""How often a GET of this service goes to Redis: counted in a process of its own, where the client writes.

    python -m benches.round_trips "/api/partner/recent?limit=20"

It needs this service's environment. A pipeline is written at once, so it counts as one round trip.
"""

from __future__ import annotations

import os
import sys
from unittest.mock import patch

from redis.connection import AbstractConnection

from web import create_app


def count(path: str) -> int:
    """Round trips of the second of two requests: the first one opens the connections."""
    client = create_app().test_client()
    headers = {"Authorization": f"Bearer {os.environ['API_KEYS']}"}
    client.get(path, headers=headers)
    write = AbstractConnection.send_packed_command
    with patch.object(AbstractConnection, "send_packed_command", autospec=True, side_effect=write) as written:
        if client.get(path, headers=headers).status_code != 200:
            raise ValueError(f"{path} is not answered 200")
    return written.call_count


if __name__ == "__main__":
    print(count(sys.argv[1]))
