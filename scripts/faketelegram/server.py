"""The fake itself: a world, the faults scripted for it, the traffic it saw, and the listener in front of them."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from faketelegram import botapi, messages
from faketelegram.botapi import Call
from faketelegram.faultbook import FaultBook, Rule
from faketelegram.listener import Listener
from faketelegram.replies import NOT_FOUND, UNAUTHORIZED, Reply
from faketelegram.traffic import Entry, Traffic
from faketelegram.updates import Update
from faketelegram.users import UserSpec
from faketelegram.world import World

TEST_TOKEN = "123456789:FAKE-TOKEN-FOR-TESTS"  # noqa: S105 - a made-up one
TOKEN = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]{1,64}")
STOP_WITHIN = 5.0  # seconds that threads get to notice it; they need milliseconds


class FakeTelegram:
    """A Bot API of one's own on loopback, from `start()` to `stop()`, or as a context manager.

    `latency` is in seconds per call and per download, `connect_latency` in seconds per new connection; both may be
    changed at any time. They pass in `wait`, which waits so long for an event, and returns whether it came. A port of 0
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
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        if not TOKEN.fullmatch(token):
            raise ValueError("token: must look like 123456789:ABC-def")
        self.token = token
        self.host = host
        self.wait = wait
        self.port = port
        self.latency = latency
        self.connect_latency = connect_latency
        self.world = World(bot_id=int(token.partition(":")[0]))
        self.faults = FaultBook()
        self.traffic = Traffic()
        self._listener: Listener | None = None
        for user in users or ():
            user.join(self.world)

    def start(self) -> Self:
        self._listener = Listener(self)
        self.port = self._listener.server_port
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="fake-telegram", daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse new connections and end those there are, also the hanging and dripping ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop(within=STOP_WITHIN)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def calls(self) -> Counter[str]:
        """How often each method was called, whatever it was answered; downloads under "download"."""
        return self.traffic.calls

    @property
    def log(self) -> list[Entry]:
        """Every call as (monotonic time, method, parameters as texts), in the order of arrival."""
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
        """Spoil the next `times` calls (None: all) of a method, of "download", or of "*", with a fault of FAULTS."""
        named = {"method": method, "fault": fault, "times": times, "user_id": user_id, "file_id": file_id}
        self.faults.add(Rule.parse({**options, **named}))

    def write(self, user_id: int, text: str) -> Update:
        """A person of the world writes to the bot; it comes with the next getUpdates."""
        return messages.write(self.world, user_id, text)

    def clear_faults(self) -> None:
        self.faults.clear()

    def reset(self) -> None:
        """Counters, log and faults as at the start; the world stays as it is."""
        self.traffic.reset()
        self.faults.clear()

    def answer(self, token: str, call: Call) -> Reply:
        if not TOKEN.fullmatch(token):
            return NOT_FOUND
        if token != self.token:
            return UNAUTHORIZED
        about = call.about(self.world)
        return self.faults.spoil(botapi.answer(self.world, call), call, about, self.world)
