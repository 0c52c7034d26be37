"""The updates that the bot has not confirmed yet: a queue with ids, which a reader may wait on. Thread-safe."""

import threading
from collections.abc import Iterable

Update = dict[str, object]


class Updates:
    def __init__(self) -> None:
        self._waiting: list[tuple[int, Update]] = []  # by update_id, rising
        self._last = 0
        self._wakes = 0  # how often all readers were sent away
        self._allowed: frozenset[str] = frozenset()  # kinds; empty: all
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, kind: str, value: object) -> Update:
        """Return the update as getUpdates will give it; `kind` is its only other field, such as `message`.

        As at Telegram, the bot never gets one of a kind that it did not ask for.
        """
        with self._changed:
            self._last += 1
            update: Update = {"update_id": self._last, kind: value}
            if not self._allowed or kind in self._allowed:
                self._waiting.append((self._last, update))
                self._changed.notify_all()
            return update

    def allow(self, kinds: Iterable[object]) -> None:
        """Take only these kinds from now on, or all if there are none. Those that wait stay."""
        with self._changed:
            self._allowed = frozenset(map(str, kinds))

    def read(self, offset: int, limit: int, seconds: float) -> list[Update]:
        """The oldest updates; wait at most that many seconds for the first. An offset confirms all updates before it.

        A negative offset counts from the end, and drops the updates before it.
        """
        with self._changed:
            if offset < 0:
                self._waiting = self._waiting[offset:]
            else:
                self._waiting = [(id, update) for id, update in self._waiting if id >= offset]
            wakes = self._wakes
            self._changed.wait_for(lambda: self._waiting or self._wakes > wakes, seconds)
            return [update for _, update in self._waiting[:limit]]

    def clear(self) -> None:
        with self._changed:
            self._waiting.clear()

    def wake(self) -> None:
        """Send all waiting readers away."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()
