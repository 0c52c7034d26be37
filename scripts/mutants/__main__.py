"""Prints how many mutants the tests kill, by module, and the changes of the survivors."""

from __future__ import annotations

import argparse
import difflib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from mutants import Mutant, tests
from mutants.places import count_places, find_mutants
from mutants.trial import Verdict, Workspace, copy

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("warmer/flow", "warmer/state", "warmer/telegram", "warmer/worker", "web/photos")
MODULES = {
    path.relative_to(ROOT).as_posix(): room
    for room in ROOMS
    for path in sorted((ROOT / room).glob("*.py"))
    if path.stem != "__init__"
}
TESTS = ["tests/warmer", "tests/web", "tests/scripts", "tests/story"]  # as ./scripts/test runs them
SAMPLE, SEED, AT_ONCE = 200, 12, 2


def main() -> None:
    options = _parse()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        recorded = options.recorded or folder / "recorded"
        if not (recorded / "contexts.json").exists():
            print("Running the tests once to record which tests reach which line", flush=True)
            recorded.mkdir(parents=True, exist_ok=True)
            tests.record(copy(ROOT, folder / "tree"), recorded.resolve(), options.tests or TESTS)
        mutants = choose(options.sample, options.seed, options.only)
        verdicts = list(try_all(mutants, folder, tests.read(recorded)))
    for line in tell(verdicts):
        print(line)
    if options.json:
        options.json.write_text(json.dumps([_to_record(one) for one in verdicts], indent=1), "utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/mutate", description=__doc__)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="number of mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="chooses the sample (%(default)s)")
    parser.add_argument("--only", action="append", metavar="MUTANT", help="only these of the sample: part of a name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts there, too")
    parser.add_argument("--recorded", type=Path, metavar="FOLDER", help="keep the first run's recording, or use it")
    parser.add_argument("tests", nargs="*", help=f"arguments for pytest ({' '.join(TESTS)})")
    return parser.parse_args()


def choose(size: int, seed: int, only: Sequence[str] | None) -> list[Mutant]:
    """Choose mutants from each module, in proportion to its places."""
    places = {module: count_places(ROOT / module, module, seed) for module in MODULES}
    shares = {module: max(1, round(size * count / sum(places.values()))) for module, count in places.items()}
    chosen = [
        one for module, share in shares.items() for one in islice(find_mutants(ROOT / module, module, seed), share)
    ]
    print(f"{len(chosen)} mutants, of {sum(places.values())} places", flush=True)
    return [one for one in chosen if not only or any(part in one.name for part in only)]


def try_all(mutants: list[Mutant], folder: Path, recorded: tests.Recorded) -> Iterator[Verdict]:
    """Try the mutants in order, and print each verdict at once."""
    workspaces: SimpleQueue[Workspace] = SimpleQueue()
    for number in range(AT_ONCE):
        workspaces.put(Workspace(ROOT, folder / str(number), recorded))

    def judge(mutant: Mutant) -> Verdict:
        workspace = workspaces.get()
        try:
            verdict = workspace.judge(mutant)
        finally:
            workspaces.put(workspace)
        print(f"{time.strftime('%H:%M:%S')} {mutant.name}: {verdict.killed_by or 'survived'}", flush=True)
        return verdict

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(judge, mutants)


def tell(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The survivors with their changes, then the figures."""
    for verdict in verdicts:
        if not verdict.killed_by:
            mutant = verdict.mutant
            yield f"\n{mutant.name} in {mutant.function}, {verdict.tests} tests"
            yield from _list_changes(mutant)
    yield ""
    for room in ROOMS:
        yield f"{room}: {_count(verdict for verdict in verdicts if MODULES[verdict.mutant.module] == room)}"
        for module in (module for module, its in MODULES.items() if its == room):
            yield f"  {module}: {_count(verdict for verdict in verdicts if verdict.mutant.module == module)}"
    yield f"All: {_count(verdicts)} in {sum(verdict.seconds for verdict in verdicts) / AT_ONCE / 60:.0f} minutes"


def _count(verdicts: Iterable[Verdict]) -> str:
    outcomes = [bool(verdict.killed_by) for verdict in verdicts]
    return f"{sum(outcomes)} of {len(outcomes)} killed, {sum(outcomes) / max(1, len(outcomes)):.0%}"


def _list_changes(mutant: Mutant) -> list[str]:
    before = (ROOT / mutant.module).read_text("utf-8").splitlines()
    changes = difflib.unified_diff(before, mutant.code.splitlines(), lineterm="", n=1)
    return [f"  {line}" for line in islice(changes, 3, None)]


def _to_record(verdict: Verdict) -> dict[str, object]:
    mutant = verdict.mutant
    return {
        "name": mutant.name,
        "function": mutant.function,
        "killed_by": verdict.killed_by,
        "tests": verdict.tests,
        "seconds": round(verdict.seconds, 1),
        "change": _list_changes(mutant),
    }


if __name__ == "__main__":
    main()
