"""Adds to setup.cfg what it cannot say: the files beside the packages, and a README that a package index can show."""

from __future__ import annotations

import re
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BESIDE = "avatar_warmer"  # warmer/sources.py finds this folder in an installed wheel
RUNS = (
    ".env.example", "CHANGELOG.md", "Procfile", "celeryconfig.py", "flowerconfig.py", "gunicorn.conf.py",
    "scripts/runner", "scripts/faketelegram", "requirements/run.lock", "requirements/granian.lock",
    "deploy/alerts.py", "deploy/avatar-warmer", "deploy/backup", "deploy/caddy", "deploy/monitoring",
    "deploy/nginx", "deploy/systemd", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)  # fmt: skip


class BuildWithFilesBeside(build_py):  # type: ignore[misc]  # setuptools has no types
    """Copies the files of RUNS into a folder of the wheel; an editable installation uses those of the clone."""

    def run(self) -> None:
        """Build the packages."""
        if self.editable_mode:
            super().run()
            return
        # As a module of its own, celeryconfig would configure every other Celery program of the environment, too.
        self.py_modules = None
        super().run()
        for name in RUNS:
            target = Path(self.build_lib, BESIDE, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / name, target)
        # A regular package: a folder of this name that is earlier on the path, such as a clone, does not hide it.
        Path(self.build_lib, BESIDE, "__init__.py").touch()


def write_description() -> str:
    """README.md with absolute links: its pictures and pages lie in the repository, at the tag of this version."""
    project = ConfigParser()
    project.read(ROOT / "setup.cfg", "utf-8")
    source, tag = project["metadata"]["url"], f"v{project['metadata']['version']}"
    text = (ROOT / "README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:|#)", rf"\g<1>{source}/raw/{tag}/", text)
    return re.sub(r"(\]\()(?!https?:|#)", rf"\g<1>{source}/blob/{tag}/", text)


setup(cmdclass={"build_py": BuildWithFilesBeside}, long_description=write_description())
