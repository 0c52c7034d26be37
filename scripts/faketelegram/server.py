"""The fake itself: a backend, and the listener that puts it on a socket."""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Self

from faketelegram.backend import Backend, Wait
from faketelegram.fault_rules import Rule
from faketelegram.listener import Listener
from faketelegram.traffic import Entry
from faketelegram.users import UserSpec

TEST_TOKEN = "123456789:FAKE-TOKEN-FOR-TESTS"  # noqa: S105 - a made-up one
STOP_SECONDS = 5.0  # for the threads to end; they need milliseconds


class FakeTelegram(Backend):
    """A Bot API on loopback, from `start()` to `stop()`, or as a context manager.

    `latency` is in seconds per call and per download, `connect_latency` in seconds per new connection; both may change
    at any time. `wait` spends them: it waits that long for an event, and returns whether the event was set. A port of 0
    takes a free one, and keeps it when the fake is stopped and started again.
    """

    def __init__(
        self,
        token: str = TEST_TOKEN,
        port: int = 0,
        latency: float = 0.0,
        connect_latency: float = 0.0,
        users: Iterable[UserSpec] | None = None,
        *,
        host: str = "127.0.0.1",
        wait: Wait = threading.Event.wait,
    ) -> None:
        super().__init__(token, latency, connect_latency, wait)
        self.host = host
        self.port = port
        self._listener: Listener | None = None
        for user in users or ():
            self.world.add(*user)

    def start(self) -> Self:
        self._listener = Listener(self, self.host, self.port)
        self.port = self._listener.server_port
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="fake-telegram", daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse new connections and close the open ones, including those that hang or drip."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def calls(self) -> Counter[str]:
        """The number of calls of each method, whatever the answer was. Downloads count under "download"."""
        return self.traffic.calls

    @property
    def log(self) -> list[Entry]:
        """The newest calls as (monotonic time, method, parameters as texts), in the order of arrival."""
        return self.traffic.log

    @property
    def connections(self) -> int:
        return self.traffic.connections

    @property
    def max_in_flight(self) -> int:
        return self.traffic.max_in_flight

    def fail(
        self,
        method: str,
        fault: str,
        times: int | None = 1,
        *,
        user_id: int | None = None,
        file_id: str | None = None,
        **options: object,
    ) -> None:
        """Script a fault of FAULTS for the next `times` calls (None: all) of a method, of "download", or of "*"."""
        named = {"method": method, "fault": fault, "times": times, "user_id": user_id, "file_id": file_id}
        self.faults.add(Rule.parse({**options, **named}))

    def clear_faults(self) -> None:
        self.faults.clear()

    def reset(self) -> None:
        """Reset counters, log and faults; the world stays as it is."""
        self.traffic.reset()
        self.faults.clear()
