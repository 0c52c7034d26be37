"""scripts/release in a small repository, with a check and a build that only note their run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import find_program

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "CHANGELOG.md": "# Changelog\n\n## 0.2.0, unreleased\n- New.\n\n## 0.1.0, 2026-01-02\n- First.\n",
    "setup.cfg": "[metadata]\nname = small\nversion = 0.1.0\n",
    "web/api/openapi.json": '{\n"openapi": "3.1.0",\n"info": {\n"license": {},\n"version": "0.1.0"\n}\n}\n',
    "web/static/package.json": '{\n  "name": "small",\n  "version": "0.1.0",\n  "files": []\n}\n',
    "scripts/check": "#!/bin/sh\ntouch ../checked\n",
    "scripts/build": '#!/bin/sh\nmkdir -p "$1" && grep ^version setup.cfg > "$1/built"\n',
    ".gitignore": "build/\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(ROOT / "scripts" / "release", folder / "scripts" / "release")
    for name in ("check", "build"):
        (folder / "scripts" / name).chmod(0o755)
    for words in (("init", "-q"), ("config", "user.name", "t"), ("config", "user.email", "t@t.invalid")):
        git(folder, *words)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Start")
    return folder


def git(folder: Path, *words: str) -> str:
    """Run git. Returns its output."""
    return subprocess.run([find_program("git"), *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def release(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(project / "scripts" / "release"), *words]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def test_a_release_dates_the_changelog_sets_the_version_checks_commits_and_tags(project: Path) -> None:
    done = release(project, "0.2.0")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^## 0\.2\.0, \d{4}-\d\d-\d\d\n- New", (project / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "version = 0.2.0\n" in (project / "setup.cfg").read_text()
    for name in ("web/api/openapi.json", "web/static/package.json"):
        assert (project / name).read_text() == FILES[name].replace("0.1.0", "0.2.0")
    assert (project.parent / "checked").exists()
    assert git(project, "describe") == "v0.2.0\n"
    assert (project / "build" / "v0.2.0" / "built").read_text() == "version = 0.2.0\n"
    assert [path.name for path in (project / "build").iterdir()] == ["v0.2.0"]
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["check", "build"])
def test_a_failed_check_or_build_makes_no_release(project: Path, name: str) -> None:
    (project / "scripts" / name).write_text("#!/bin/sh\nexit 1\n")
    git(project, "commit", "-qam", "Break the check")
    assert release(project, "0.2.0").returncode == 1
    assert git(project, "tag") == ""
    assert git(project, "log", "--format=%s", "-1") == "Break the check\n"


def test_a_release_is_refused_with_one_line(project: Path) -> None:
    refused = {"": "needs a version", "0.2": "needs a version", "0.3.0": "has no section"}
    for version, reason in refused.items():
        done = release(project, version)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert reason in done.stderr
    git(project, "tag", "v0.2.0")
    assert "v0.2.0 is released" in release(project, "0.2.0").stderr
    (project / "setup.cfg").write_text(FILES["setup.cfg"] + "url = https://example.org/small\n")
    assert "names example.org" in release(project, "0.2.0").stderr
    (project / "setup.cfg").write_text("changed")
    assert "not committed" in release(project, "0.2.0").stderr
    assert not (project.parent / "checked").exists()
