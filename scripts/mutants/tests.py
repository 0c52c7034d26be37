"""Which tests reach a line, and how long each takes: recorded in one run of all tests, with coverage's contexts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

# Runs in the project's own environment: the same coverage must read and write the data.
LIST_CONTEXTS = """
import json, os, sys
from coverage import CoverageData
data = CoverageData(sys.argv[1])
data.read()
found = {os.path.relpath(name, sys.argv[2]): data.contexts_by_lineno(name) for name in data.measured_files()}
json.dump(found, sys.stdout)
"""
USUAL_SECONDS = 1.0  # of a test without a recorded time


@dataclass(frozen=True)
class Recorded:
    """The recording of one run of the tests."""

    contexts: dict[str, dict[int, set[str]]]  # module, line: tests
    seconds: dict[str, float]  # of each test

    def list_tests(self, module: str, lines: tuple[int, int]) -> list[str]:
        """The tests that reach these lines: first the module's own tests, then the fastest.

        Lines that run at import or only in another process have no context: then all tests of the module count.
        """
        by_line = self.contexts.get(module, {})
        found = set().union(*(by_line.get(line, ()) for line in range(lines[0], lines[1] + 1)))
        found = found or set().union(*by_line.values())
        stem = Path(module).stem
        own = (f"test_{stem}.py", f"test_{Path(module).parts[0]}_{stem}.py")
        return sorted(found, key=lambda test: (not _file_of(test).endswith(own), self.seconds_of([test]), test))

    def seconds_of(self, tests: Sequence[str]) -> float:
        return sum(self.seconds.get(test, USUAL_SECONDS) for test in tests)


def record(tree: Path, folder: Path, arguments: Sequence[str]) -> None:
    """Run the tests in this tree, and write the recording to the folder; raises CalledProcessError if one fails."""
    data = folder / "coverage"
    environment = {**os.environ, "COVERAGE_FILE": str(data)}
    python = str(tree / ".venv/bin/python")
    options = ["-q", "-n", "2", "--dist", "loadfile", f"--basetemp={folder / 't'}", "-p", "no:cacheprovider"]
    coverage = ["--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
    coverage.append(f"--junitxml={folder / 'junit.xml'}")
    subprocess.run([python, "-m", "pytest", *options, *coverage, *arguments], cwd=tree, env=environment, check=True)
    with (folder / "contexts.json").open("w") as out:
        subprocess.run([python, "-c", LIST_CONTEXTS, str(data), str(tree)], stdout=out, check=True)


def read(folder: Path) -> Recorded:
    """Read a recording that `record` wrote."""
    contexts = {}
    for module, found in json.loads((folder / "contexts.json").read_text("utf-8")).items():
        by_line = {int(line): {_strip(context) for context in names} for line, names in found.items()}
        contexts[module] = {line: names - {""} for line, names in by_line.items()}
    seconds: dict[str, float] = {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):  # noqa: S314 - pytest wrote it
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        seconds[name] = seconds.get(name, 0) + float(case.get("time", 0))
    return Recorded(contexts, seconds)


def _strip(context: str) -> str:
    """The test without the phase that pytest-cov adds."""
    return context.rpartition("|")[0]


def _file_of(test: str) -> str:
    return test.partition("::")[0]
