"""Work that a process repeats in a thread of its own, from its first use until it is closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

CLOSE_SECONDS = 10.0  # longer than any run of the actions here: a heartbeat waits 5 s for Telegram
log = logging.getLogger(__name__)


class Repeater:
    """Runs an action again and again, with a pause between two runs."""

    def __init__(self, name: str, seconds: float, action: Callable[[], None], *, runs_at_once: bool = False) -> None:
        """`seconds`: the pause. `runs_at_once`: the first run needs no pause before it."""
        self._name = name
        self._seconds = seconds
        self._action = action
        self._runs_at_once = runs_at_once
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def ensure_started(self) -> None:
        """Start the thread, unless it runs or has been closed. Call this after the fork."""
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._repeat, name=self._name, daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread, after the current run."""
        with self._lock:
            self._closed.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _repeat(self) -> None:
        if self._runs_at_once:
            self._run()
        while not self._closed.wait(self._seconds):
            self._run()

    def _run(self) -> None:
        try:
            self._action()
        except Exception:  # the thread must go on: nothing would start another one
            log.exception("%s: one run failed", self._name)
