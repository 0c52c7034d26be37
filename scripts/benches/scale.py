"""Scale: the cost of beat's rounds and of the list with 100,000 partners, compared with 1,000."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from redis import Redis

from benches.dataset import write_partners
from benches.extent import choose
from benches.results import Part, Recorder, make_row
from benches.testbed import ROOT, Testbed, open_testbed, pinned, wait_for

SMALL, LARGE = choose((1_000, 100_000), (1_000, 2_000))  # partners, with three variants each
ROUNDS = choose(21, 1)
REDIS_CORE, ROUNDS_CORE = (1,), (0,)  # the same for both, or the scheduler decides which one is faster
WORKS = {"tick": "a tick of beat", "keep": "a check of the newest partners", "recent": "20 lists of the newest"}
FIGURES = ("ms", "commands")  # of Redis, including those in scripts
SAME: dict[str, Any] = {"limit": 1.0, "limit_reason": "both sizes cost the same"}
RunRound = Callable[[str], dict[str, float]]


def run(say: Callable[[str], None]) -> Part:
    """Two datasets side by side, in alternating rounds."""
    part, recorder = Part("scale"), Recorder()
    with _open_dataset(SMALL) as run_small:
        say(f"Writing {LARGE:,} partners…")
        with _open_dataset(LARGE) as run_large:
            _alternate(recorder, {SMALL: run_small, LARGE: run_large}, say)
    part.measurements = recorder.list_measurements()
    for work in WORKS.values():
        for figure in FIGURES:
            ratios = recorder.list_ratios(figure, (work, _name(LARGE)), (work, _name(SMALL)))
            part.rows.append(make_row(f"{work}, {figure}", _name(SMALL), ratios, 1.2, is_floor=False, **SAME))
    return part


def _alternate(recorder: Recorder, datasets: dict[int, RunRound], say: Callable[[str], None]) -> None:
    for number in range(-1, ROUNDS):  # the first one warms up
        say(f"Round {number + 1} of {ROUNDS}…")
        for name, work in WORKS.items():
            for partners in sorted(datasets, reverse=number % 2 == 1):  # the second one is slower
                figures = datasets[partners](name)
                if number >= 0:
                    recorder.note(work, _name(partners), figures)


def _name(partners: int) -> str:
    return f"{partners:,} partners"


@contextmanager
def _open_dataset(partners: int) -> Iterator[RunRound]:
    with open_testbed() as testbed:
        redis = testbed.start_redis(REDIS_CORE)
        write_partners(redis, testbed.keys, partners)
        wait_for("a quiet Redis", lambda: not _is_rewriting(redis))
        with _open_process(testbed) as run_round:
            yield run_round


def _is_rewriting(redis: Redis) -> bool:
    """Returns True while Redis rewrites its append-only file, which a large dataset causes."""
    persistence: Any = redis.info("persistence")
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


@contextmanager
def _open_process(testbed: Testbed) -> Iterator[RunRound]:
    """A process that runs rounds with this dataset; the end of its input ends it."""
    command = [sys.executable, "-m", "benches.round_costs"]
    environment = testbed.environment | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    pipe = subprocess.PIPE
    with pinned(ROUNDS_CORE):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
    with process:
        names, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

        def run_round(name: str) -> dict[str, float]:
            print(name, file=names, flush=True)
            return dict(zip(FIGURES, map(float, answers.readline().split()), strict=True))

        yield run_round
        names.close()
