"""The one thread of a web process that hears what workers and the other web processes announce."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from warmer.keys import Keys

RETRY_SECONDS = 0.25
SILENCE_MAX_SECONDS = 4.0  # shorter than a cluster or Sentinels take to make another node the master
SAID, JOINED, MOVED = ("message", "smessage"), ("subscribe", "ssubscribe"), "sunsubscribe"  # kinds, in redis-py
log = logging.getLogger(__name__)


class Listener:
    """Hears "done" and "purge". It starts with the first use: after the fork, whatever the server."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        keys: Keys,
        *,
        on_done: Callable[[str], None],
        on_purge: Callable[[str], None],
        on_joined: Callable[[], None],
        on_lost: Callable[[], None],
        has_slots: bool = False,
    ) -> None:
        """`has_slots`: in a cluster, the channels with a slot are heard from the node that holds it."""
        self._connect = connect
        self._keys = keys
        self._on_joined = on_joined
        self._on_lost = on_lost
        self._actions = {keys.done: on_done, keys.purge: on_purge}
        self._has_slots = has_slots
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._channel: Any = None  # the subscription; untyped in redis-py
        self._is_deaf = False

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
        # The thread sleeps in a read. redis-py has no way to wake it but `disconnect`, which also frees the
        # descriptor under it: so only the socket is shut, and the thread closes what it has opened.
        if (sock := getattr(getattr(channel, "connection", None), "_sock", None)) is not None:
            with suppress(OSError):  # the other side was quicker
                sock.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join()

    def _answer_echo(self, key: str, redis: Redis) -> None:
        try:
            with redis.pipeline() as pipe:
                pipe.lpush(key, "1")
                pipe.expire(key, 5)
                pipe.execute()
        except ResponseError as error:  # full, or read-only: what is heard is heard all the same
            log.warning("no echo: %s", type(error).__name__)

    def _listen_on(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as redis:
                    self._listen(redis)
            except Exception as error:  # noqa: BLE001 - whatever it is: a thread that ended would leave us deaf for ever
                self._on_lost()
                if not self._is_deaf and not self._closed.is_set():  # one line an outage
                    log.warning("not listening (%s), a try every %.2f s", type(error).__name__, RETRY_SECONDS)
                self._is_deaf = True
                self._closed.wait(RETRY_SECONDS)

    def _listen(self, redis: Redis) -> None:
        with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # untyped in redis-py
            if self._has_slots:
                channel.ssubscribe(self._keys.purge, self._keys.acknowledge)
                channel.subscribe(self._keys.done)
            else:
                channel.subscribe(*self._actions, self._keys.acknowledge)
            with self._lock:
                self._channel = channel
            heard_at = time.monotonic()
            while (silence := time.monotonic() - heard_at) < SILENCE_MAX_SECONDS and not self._closed.is_set():
                if message := channel.get_message(timeout=1.0):
                    heard_at = time.monotonic()
                    self._act_on(message, redis)
                elif silence > SILENCE_MAX_SECONDS / 2:
                    channel.ping()
        raise ConnectionError("no pong")  # half open: a purge could be missed for ever

    def _act_on(self, message: dict[str, Any], redis: Redis) -> None:
        kind, name = message["type"], (message["channel"] or b"").decode()
        if kind in SAID and name == self._keys.acknowledge:
            self._answer_echo(message["data"].decode(), redis)
        elif kind in SAID:
            self._actions[name](message["data"].decode(errors="replace"))
        elif kind in JOINED and name == self._keys.purge:
            self._is_deaf = False
            self._on_joined()
        elif kind == MOVED:
            raise ConnectionError("the channel's slot has moved to another node")
