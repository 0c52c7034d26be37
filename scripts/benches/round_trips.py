"""Redis round trips of each kind of work, counted at the client: one for each command, script or pipeline it sends.

`scripts/bench round-trips` prints them, with a Redis and a fake Telegram of its own. What Celery sends is counted where
the message is published; that a worker receives it costs three more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from flask import Flask
from redis.connection import AbstractConnection

from benches.testbed import open_testbed, wait_for
from faketelegram import FakeTelegram
from faketelegram.pictures import drawn
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import Lane

SIZE = 160  # pixels
Counts = Counter[str]  # by sender: web, worker, Celery
_user_ids = count(6_000_000)


@contextmanager
def counting() -> Iterator[dict[int, Counts]]:
    """Count in this block. Yields the counts by thread."""
    counts: dict[int, Counts] = {}
    send: Any = AbstractConnection.send_packed_command

    def send_and_count(self: Any, *args: Any, **options: Any) -> Any:
        if sender := _find_sender():
            counts.setdefault(threading.get_ident(), Counter())[sender] += 1
        return send(self, *args, **options)

    with patch.object(AbstractConnection, "send_packed_command", send_and_count):
        yield counts


def _find_sender() -> str:
    """Returns "Celery" or "ours"; "" while a connection is opened or checked, which depends on what else happens."""
    frame, sender = sys._getframe(2), "ours"
    while frame.f_back:
        frame = frame.f_back
        if frame.f_code.co_name in ("connect_check_health", "check_health"):
            return ""
        if frame.f_globals.get("__name__", "").startswith("kombu"):
            sender = "Celery"
    return sender


class Work:
    """A web tier and a worker in this process, and a fake Telegram."""

    def __init__(self, app: Flask, fake: FakeTelegram, api_key: str, counts: dict[int, Counts]) -> None:
        from web.wiring import get_web_context  # reads the settings, as the imports below do

        self.app = app
        self.fake = fake
        self.headers = {"Authorization": f"Bearer {api_key}"}
        self.context = get_web_context(app)
        self.counts = counts

    def put_and_warm(self, user_id: int, *, is_list_remembered: bool) -> Counts:
        """A backend registers a person by id; a worker looks the profile up and warms the picture."""
        self.context.redis.delete(self.context.keys.remembered)
        if is_list_remembered:
            self.context.redis.set(self.context.keys.remembered, "1", ex=60)
        self.fake.world.add_user(user_id, "Ann")
        body = {"json": {"name": "Ann"}, "headers": self.headers}
        return self._web("PUT", f"/api/partner/{user_id}", body) + self._worker(f"user:{user_id}", "warm")

    def serve_cold(self, file_id: str) -> Counts:
        """A client asks for a picture that is not stored, and waits until a worker has warmed it."""
        url = f"/api/photos/file/{file_id}?size={SIZE}&sig={self.context.api.urls.sign(f'file:{file_id}')}"
        queue, counts = f"{self.context.keys.queue_prefix}hot", Counts()
        self.context.redis.delete(queue)
        client = threading.Thread(
            target=lambda: counts.update(self._web("GET", url, {"headers": {"Accept": "image/webp"}}))
        )
        client.start()
        wait_for("the message", lambda: self.context.redis.exists(queue))
        worker = self._worker(file_id, "hot")
        client.join()
        return counts + worker

    def delete(self, user_id: int) -> Counts:
        """A person is forgotten."""
        return self._web("DELETE", f"/api/partner/{user_id}", {"headers": self.headers})

    def list_recent(self) -> Counts:
        """The newest people are listed."""
        wait_for_acknowledgements(self.context.redis, self.context.keys)  # or what is still heard ends the list
        return self._web("GET", "/api/partner/recent", {"headers": self.headers})

    def repeat_list(self) -> Counts:
        """The same list again: it is remembered."""
        return self._web("GET", "/api/partner/recent", {"headers": self.headers})

    def _web(self, method: str, path: str, options: dict[str, Any]) -> Counts:
        self.counts.pop(threading.get_ident(), None)
        answer = self.app.test_client().open(path, method=method, **options)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path} answered {answer.status_code}")
        return self._take_counts("web")

    def _worker(self, subject: str, lane: Lane) -> Counts:
        from warmer.worker.tasks import warm

        self.context.redis.delete(self.context.keys.budget)  # a job that waits for tokens asks more than once
        self.counts.pop(threading.get_ident(), None)
        outcome = warm(subject, lane)
        if not outcome.startswith("done"):
            raise SystemExit(f"the job of {subject} ended: {outcome}")
        return self._take_counts("worker")

    def _take_counts(self, ours: str) -> Counts:
        """The counts of this thread since it began."""
        mine = self.counts.pop(threading.get_ident(), Counts())
        return Counter({sender if sender == "Celery" else ours: number for sender, number in mine.items()})


def measure(app: Flask, fake: FakeTelegram, api_key: str) -> dict[str, Counts]:
    """Do each kind of work four times, and count the cheapest after the first, which opens connections.

    On a busy machine a process may acknowledge late, and the wait for it takes another round trip.
    """
    from warmer.wiring import close_worker_context

    with counting() as by_thread, ExitStack() as opened:
        opened.callback(close_worker_context)
        # The client may not look again while it waits: on a busy machine, that would count the time.
        opened.enter_context(patch("web.photos.waiting.LOOK_SECONDS", 60.0))
        work = Work(app, fake, api_key, by_thread)
        rounds: list[dict[str, Counts]] = []
        work.context.photos.waiting.wait_seconds = 60.0  # nor may the client give up
        opened.enter_context(patch.object(work.context.api.lists, "_clock", lambda: 0.0))  # nor may a list expire
        work.context.photos.listener.ensure_started()
        wait_for("the listener", lambda: work.context.api.lists.hears_purges)  # or nothing acknowledges
        for _ in range(4):
            cold = fake.world.add_file(drawn(str(user_id := next(_user_ids)))[320])
            counts = {
                "PUT and warming": work.put_and_warm(user_id, is_list_remembered=False),
                "PUT while a list is remembered": work.put_and_warm(next(_user_ids), is_list_remembered=True),
                "a cold photo": work.serve_cold(cold),
                "GET recent": work.list_recent(),
                "GET recent again": work.repeat_list(),
                "DELETE": work.delete(user_id),
            }
            rounds.append(counts)
    return {kind: min((counts[kind] for counts in rounds[1:]), key=Counter.total) for kind in rounds[0]}


def main(_: Sequence[str]) -> int:
    """Print the counts."""
    with open_testbed() as testbed:
        testbed.start_redis()
        fake = testbed.start_telegram()
        os.environ |= testbed.environment
        from web import close_app, create_app  # reads the settings

        app = create_app()
        try:
            for kind, counts in measure(app, fake, os.environ["API_KEYS"]).items():
                parts = ", ".join(f"{number} {sender}" for sender, number in sorted(counts.items()))
                print(f"{kind}: {counts.total()} ({parts})")
        finally:
            close_app(app)
    return 0
