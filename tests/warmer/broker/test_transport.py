"""The connection to the broker."""

from __future__ import annotations

from typing import Any

import pytest

from warmer.broker.transport import EagerConnection


def test_a_channel_of_a_closed_connection_raises_a_connection_error(redis_url: str) -> None:
    connection = EagerConnection(f"redis+socket://{redis_url.removeprefix('unix://')}")
    channel: Any = connection.default_channel
    errors = connection.connection_errors
    connection.close()
    with pytest.raises(errors):
        _ = channel.pool
