"""Tries a mutant: do the tests that reach it fail?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant
from mutants.tests import Recorded

FIRST = 40  # tests to run first
REST_SECONDS = 30.0  # recorded seconds of the tests to run after these
SLACK, START_SECONDS = 10, 90.0  # a run may take SLACK times its recorded seconds, plus its start
TIMED_OUT = -1
OMITTED = (
    ".git",
    ".venv",
    ".venv.*",
    ".hypothesis",
    "__pycache__",
    "*_cache",
    "build",
    "data",
    "node_modules",
    ".coverage*",
)


@dataclass(frozen=True)
class Verdict:
    """The result of a mutant."""

    mutant: Mutant
    killed_by: str  # a test, or another reason; empty: the mutant survived
    tests: int  # number of tests that ran
    seconds: float


def copy(root: Path, tree: Path) -> Path:
    """Copy the project's files, and link its environment."""
    shutil.copytree(root, tree, ignore=shutil.ignore_patterns(*OMITTED), symlinks=True)
    (tree / ".venv").symlink_to((root / ".venv").resolve())
    return tree


class Workspace:
    """A copy of the project that tries one mutant after another."""

    def __init__(self, root: Path, folder: Path, recorded: Recorded, start_seconds: float = START_SECONDS) -> None:
        self.tree = copy(root, folder / "tree")
        self._folder = folder
        self._recorded = recorded
        self._start_seconds = start_seconds
        self._written = time.time()

    def judge(self, mutant: Mutant) -> Verdict:
        """Run the nearest tests first, then others for a bounded time."""
        started = time.monotonic()
        tests = self._recorded.list_tests(mutant.module, mutant.lines)
        rest = self._bound(tests[FIRST:])
        original = (self.tree / mutant.module).read_text("utf-8")
        self._write(mutant.module, mutant.code)
        try:
            killed_by = self._run(tests[:FIRST]) or self._run(rest)
        finally:
            self._write(mutant.module, original)
        return Verdict(mutant, killed_by, len(tests[:FIRST]) + len(rest), time.monotonic() - started)

    def _run(self, tests: list[str]) -> str:
        """The first test that fails, or another reason for the end of the run; empty if all pass."""
        if not tests:
            return ""
        names = self._folder / "tests.txt"
        names.write_text("".join(f"{test}\n" for test in tests), "utf-8")
        limit = self._start_seconds + SLACK * self._recorded.seconds_of(tests)
        status, output = self._run_pytest([f"@{names}"], limit)
        if status not in (0, 1, TIMED_OUT):  # also if a parametrised test has a new name
            status, output = self._run_pytest(sorted({test.partition("::")[0] for test in tests}), limit)
        if status in (0, TIMED_OUT):
            return "time-out" if status else ""
        lines = [line.partition(" ")[2] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        failed = [test for test in tests for line in lines if line == test or line.startswith(f"{test} - ")]
        return max(failed, key=len) if failed else next(iter(lines), "the tests do not start")

    def _run_pytest(self, arguments: list[str], limit: float) -> tuple[int, str]:
        options = ["-x", "-q", "-rfE", "--tb=no", "--no-header", "-p", "no:cacheprovider"]
        options.append(f"--basetemp={self._folder / 't'}")
        environment = {**os.environ, "PYTHONPATH": str(self.tree), "MUTANT": str(self._folder)}
        log = self._folder / "pytest.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [".venv/bin/python", "-m", "pytest", *options, *arguments],
                cwd=self.tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                status = TIMED_OUT
            finally:
                end(process, str(self._folder))
        return status, log.read_text("utf-8", "replace")

    def _write(self, module: str, code: str) -> None:
        """Write the module with a new modification time: Python compares whole seconds to find stale bytecode."""
        path = self.tree / module
        path.write_text(code, "utf-8")
        self._written += 2
        os.utime(path, (self._written, self._written))

    def _bound(self, tests: list[str]) -> list[str]:
        chosen: list[str] = []
        for test in sorted(tests, key=lambda test: self._recorded.seconds_of([test])):
            if self._recorded.seconds_of([*chosen, test]) > REST_SECONDS:
                break
            chosen.append(test)
        return chosen


def end(process: subprocess.Popen[bytes], folder: str) -> None:
    """End the run and its leftovers: a mutant may leave processes behind."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for path in Path("/proc").glob("[0-9]*"):  # without /proc, the group only
        with suppress(OSError):
            if folder.encode() in (path / "environ").read_bytes() + (path / "cmdline").read_bytes():
                os.kill(int(path.name), signal.SIGKILL)
