"""Scale: what beat's rounds and the list cost with 100,000 partners, beside what they cost with 1,000."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from redis import Redis

from benches.book import Book
from benches.rows import Part, Row
from benches.stage import ROOT, Stage, pinned, stage, wait_for
from benches.world import build
from warmer.keys import Keys

SMALL, LARGE = 1_000, 100_000  # partners, with three variants each
ROUNDS = 21
REDIS_CORE, ROUNDS_CORE = (1,), (0,)  # the same in both worlds, or the scheduler decides which one is faster
WORKS = {"tick": "a tick of beat", "keep": "a look after the newest", "recent": "20 lists of the newest"}
FIGURES = ("ms", "commands")  # of a Redis, those in scripts included
Ask = Callable[[str], dict[str, float]]


def run(say: Callable[[str], None]) -> Part:
    """Two worlds at once, asked in turn."""
    part, book = Part("scale"), Book()
    with TemporaryDirectory(prefix="aw-") as folder, _open_world(Path(folder) / "s", SMALL) as ask_small:
        say(f"Writing down {LARGE:,} partners…")
        with _open_world(Path(folder) / "l", LARGE) as ask_large:
            _ask_in_turn(book, {SMALL: ask_small, LARGE: ask_large}, say)
    part.measurements = book.list_measurements()
    for work in WORKS.values():
        for figure in FIGURES:
            large, small = (book.median(work, _name(number), figure) for number in (LARGE, SMALL))
            part.rows.append(Row(f"{work}, {figure}", _name(SMALL), large / small, 1.2, is_floor=False))
    return part


def _ask_in_turn(book: Book, worlds: dict[int, Ask], say: Callable[[str], None]) -> None:
    for number in range(-1, ROUNDS):  # the first one warms up
        say(f"Rounds in both worlds, {number + 1} of {ROUNDS}…")
        for asked, work in WORKS.items():
            for partners in sorted(worlds, reverse=number % 2 == 1):  # who comes second is slower
                figures = worlds[partners](asked)
                if number >= 0:
                    book.note(work, _name(partners), figures)


def _name(partners: int) -> str:
    return f"{partners:,} partners"


@contextmanager
def _open_world(folder: Path, partners: int) -> Iterator[Ask]:
    with stage(folder) as it:
        redis = it.start_redis(REDIS_CORE)
        build(redis, Keys(it.environment["TELEGRAM_BOT_TOKEN"].partition(":")[0]), partners)
        wait_for("a quiet Redis", lambda: not _is_rewriting(redis))
        with _open_process(it) as ask:
            yield ask


def _is_rewriting(redis: Redis) -> bool:
    """Whether it writes its append-only file anew, which a large world makes it do."""
    persistence: Any = redis.info("persistence")
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


@contextmanager
def _open_process(it: Stage) -> Iterator[Ask]:
    """A process that does rounds in this world; end of input ends it."""
    command = [sys.executable, "-m", "benches.round_costs"]
    environment = it.environment | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    pipe = subprocess.PIPE
    with pinned(ROUNDS_CORE):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
    with process:
        asked, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

        def ask(work: str) -> dict[str, float]:
            print(work, file=asked, flush=True)
            return dict(zip(FIGURES, map(float, answers.readline().split()), strict=True))

        yield ask
        asked.close()
