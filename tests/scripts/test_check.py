"""How scripts/check treats the package, in a small project whose other checks always pass."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = """\
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
[[ $1 != tools || ! -e ../offline ]]
"""
BUILD = """\
./scripts/setup/environment.sh tools || exit
mkdir "$1" && touch "$1/small-0.2.0.whl" && echo "$1" > ../built
"""
FILES = {"scripts/setup/environment.sh": ENVIRONMENT, "scripts/build": BUILD, "scripts/audit": "exit 1\n"}
PASSING = ("scripts/docs", "../bin/mypy", "../bin/ruff", "../bin/python")


class Project:
    """The project, and the folder of its temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder / "project", folder / "tmp"
        self.temporary.mkdir()
        for name, text in {**FILES, **dict.fromkeys(PASSING, "exit 0\n")}.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/usr/bin/env bash\n{text}")
            file.chmod(0o755)
        shutil.copy(ROOT / "scripts" / "check", self.folder / "scripts" / "check")

    def check(self, **environ: str) -> tuple[int, str]:
        """Run the check. Returns its status and its output."""
        environ |= {"PATH": f"{self.folder.parent / 'bin'}:{os.defpath}", "TMPDIR": str(self.temporary)}
        command = [str(self.folder / "scripts" / "check")]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_package_is_built_and_checked_and_leaves_no_file(project: Project) -> None:
    status, said = project.check()
    assert (status, "ok      package, " in said) == (0, True), said
    built = Path((project.folder.parent / "built").read_text().rstrip("\n"))
    assert built.is_relative_to(project.temporary)
    assert list(project.temporary.iterdir()) == []
    assert {path.name for path in project.folder.iterdir()} == {"scripts"}


def test_without_its_tools_the_package_is_skipped_with_one_line(project: Project) -> None:
    (project.folder.parent / "offline").touch()
    status, said = project.check()
    assert status == 0
    assert [line for line in said.splitlines() if "package" in line] == [
        "skipped package: its tools cannot be installed"
    ]


def test_in_ci_missing_tools_fail_the_check(project: Project) -> None:
    (project.folder.parent / "offline").touch()
    status, said = project.check(CI="true")
    assert (status, "FAILED  package, " in said) == (1, True)


def test_a_package_that_cannot_be_built_fails_the_check(project: Project) -> None:
    (project.folder / "scripts" / "build").write_text("#!/bin/sh\necho no long description; exit 1\n")
    status, said = project.check()
    assert (status, "no long description" in said) == (1, True)
    assert list(project.temporary.iterdir()) == []
