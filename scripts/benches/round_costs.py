"""The cost of a round with the data at REDIS_URL: reads names of rounds, answers milliseconds and Redis commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from warmer.keys import Subject
from warmer.wiring import WorkerContext, get_worker_context
from warmer.worker.beat_rounds import keep_newest, run_tick
from web import create_app
from web.wiring import get_web_context

DUE = 50  # subjects per tick
REQUESTS = 20  # for the list, per round
LISTED = 20  # partners
LIST = f"/api/partner/recent?limit={LISTED}"


class Rounds:
    """The rounds; `prepare` undoes the effects of the last one."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.app = create_app(context.settings)
        self.client = self.app.test_client()
        self.header = {"Authorization": f"Bearer {context.settings.api_keys[0].get_secret_value()}"}

    def prepare(self) -> None:
        """Free every slot, empty the queue, and make DUE subjects due."""
        keys = self.context.keys
        subjects = [Subject.of_person(partner_id) for partner_id in self.context.people.list_recent_ids(DUE)]
        markers = [keys.enqueued(subject, "rewarm") for subject in subjects]
        self.context.redis.delete(keys.slot("tick"), keys.slot("keep_newest"), f"{keys.queue_prefix}rewarm", *markers)
        for subject in subjects:
            self.context.schedule.set(subject, -1)

    def tick(self) -> None:
        """Publish the due subjects."""
        _expect(DUE, run_tick(self.context))

    def keep(self) -> None:
        """Schedule the newest partners."""
        _expect(self.context.settings.rewarm_partners, keep_newest(self.context))

    def recent(self) -> None:
        """List the newest partners; all their pictures are ready."""
        for _ in range(REQUESTS):
            get_web_context(self.app).api.lists.end_all()  # each list is read from Redis
            partners = self.client.get(LIST, headers=self.header).get_json()["partners"]
            _expect(LISTED, sum(partner["photo_ready"] for partner in partners))


def _expect(wanted: int, got: int) -> None:
    if got != wanted:
        raise SystemExit(f"the round handled {got} instead of {wanted}")


def _count_commands(context: WorkerContext) -> int:
    stats: Any = context.redis.info("stats")
    return int(stats["total_commands_processed"])


def main() -> None:
    """Answer until the input ends."""
    context = get_worker_context()
    rounds = Rounds(context)
    works: dict[str, Callable[[], None]] = {"tick": rounds.tick, "keep": rounds.keep, "recent": rounds.recent}
    for line in sys.stdin:
        rounds.prepare()
        commands = _count_commands(context)
        started = time.perf_counter()
        works[line.strip()]()
        milliseconds = (time.perf_counter() - started) * 1000
        print(milliseconds, _count_commands(context) - commands - 1, flush=True)  # 1: the counting itself


if __name__ == "__main__":
    main()
