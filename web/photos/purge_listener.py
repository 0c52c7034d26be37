"""One thread per web process listens to the announcements of workers and other web processes."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from warmer.keys import ACKNOWLEDGED_SECONDS, Keys
from warmer.state.scripts import load_script

if TYPE_CHECKING:
    from redis.commands.core import Script

RETRY_SECONDS = 0.25
READ_SECONDS = 1.0
CLOSE_SECONDS = 10.0  # longer than a read of Redis and its retry
SILENT_READS_MAX = 4  # sooner than a cluster or Sentinels make another node the master
# Types of messages in redis-py.
MESSAGES, SUBSCRIBED, MOVED = ("message", "smessage"), ("subscribe", "ssubscribe"), "sunsubscribe"
log = logging.getLogger(__name__)


class PurgeListener:
    """Listens for "done" and "purge".

    Started before the first read of Redis, so after the fork with any server: web/photos/lookup.py, `PhotoLookup.read`,
    and web/api/recent.py, `find_list`; under gunicorn and granian with the process. Stopped when the app closes:
    web/__init__.py, `close_app`, and web/wiring.py, `WebContext.close`.
    """

    def __init__(
        self,
        connect: Callable[[], Redis],
        keys: Keys,
        *,
        on_done: Callable[[str], None],
        on_purge: Callable[[str], None],
        on_acknowledge: Callable[[], None],
        on_joined: Callable[[], None],
        on_lost: Callable[[], None],
        has_slots: bool = False,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """`on_acknowledge` runs before each acknowledgement.

        `has_slots`: in a cluster, subscribe to a channel at the node that holds its slot.
        """
        self._connect = connect
        self._keys = keys
        self._on_joined = on_joined
        self._on_lost = on_lost
        self._on_acknowledge = on_acknowledge
        # web/photos/waiting.py, `Waiting.wake`, which passes it on to `Flights.wake` and `ListCache.end_done`; and
        # web/photos/cache.py, `ResponseCache.purge`, with web/api/lists.py, `ListCache.end_all`
        self._actions = {keys.done: on_done, keys.purge: on_purge}
        self._has_slots = has_slots
        self._read_seconds = read_seconds
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._channel: Any = None  # the subscription; untyped in redis-py
        self._is_lost = False

    def ensure_started(self) -> None:
        """Start the thread, unless it runs or has been closed."""
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._listen_on, name="listener", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the subscription and the thread."""
        with self._lock:
            self._closed.set()
            thread, channel = self._thread, self._channel
        # The thread sleeps in a read. redis-py can wake it only with `disconnect`, which also frees the descriptor
        # under it. So shut down the socket, and let the thread close what it has opened.
        if (sock := getattr(getattr(channel, "connection", None), "_sock", None)) is not None:
            with suppress(OSError):  # the other side has closed it already
                sock.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join(CLOSE_SECONDS)  # it may hang in a line of a log that nobody reads

    def _acknowledge(self, key: str, push: Script) -> None:
        try:
            push(keys=[key], args=[ACKNOWLEDGED_SECONDS])
        except ResponseError as error:  # such as read-only; the purges before it were handled all the same
            log.warning("purges not acknowledged: %s", type(error).__name__)

    def _listen_on(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as redis:
                    self._listen(redis)
            except Exception as error:  # noqa: BLE001 - if this thread ended, no purge would arrive again
                self._on_lost()
                if not self._is_lost and not self._closed.is_set():  # one line per outage
                    log.warning("not listening (%s), retrying every %.2f s", type(error).__name__, RETRY_SECONDS)
                self._is_lost = True
                self._closed.wait(RETRY_SECONDS)

    def _listen(self, redis: Redis) -> None:
        push = load_script(redis, "lua/acknowledge.lua")
        with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # untyped in redis-py
            if self._has_slots:
                channel.ssubscribe(self._keys.purge, self._keys.acknowledge)
                channel.subscribe(self._keys.done)
            else:
                channel.subscribe(*self._actions, self._keys.acknowledge)
            with self._lock:
                self._channel = channel
            silent_reads = 0  # in a row. No clock: it would also count the time in which this machine stood still
            while silent_reads < SILENT_READS_MAX and not self._closed.is_set():
                if message := channel.get_message(timeout=self._read_seconds):
                    silent_reads = 0
                    self._act_on(message, push)
                    continue
                silent_reads += 1
                if silent_reads == SILENT_READS_MAX / 2:
                    channel.ping()
        raise ConnectionError("no pong")  # half open: every later purge would be lost

    def _act_on(self, message: dict[str, Any], push: Script) -> None:
        kind, name = message["type"], (message["channel"] or b"").decode()
        if kind in MESSAGES and name == self._keys.acknowledge:
            self._on_acknowledge()
            self._acknowledge(message["data"].decode(), push)
        elif kind in MESSAGES:
            self._actions[name](message["data"].decode(errors="replace"))
        elif kind in SUBSCRIBED and name == self._keys.purge:
            self._is_lost = False
            self._on_joined()
        elif kind == MOVED:
            raise ConnectionError("the channel's slot has moved to another node")
