"""The project's environment, .venv: whether it is there, and how it is made.

A stamp in it, written last, says what was installed: an environment without one is made anew.
Any Python from 3.6 on reads this file.
"""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import interpreters
from steps import check_signals, run, say

ADVICE = "install Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)"
# No source is built: what a build fetches for itself is checked against no hash. The locks are complete, and nothing is
# resolved again: pip 23 would take pytest-cov's `coverage[toml]` in a version newer than the locked one, and fail.
LOCKED = ("--require-hashes", "--only-binary", ":all:", "--no-deps")
# The project has no hash. It is built with the locked setuptools, and all that it needs is there already.
PROJECT = ("--no-deps", "--no-build-isolation", "-e", ".")


class Failed(Exception):
    """The environment cannot be made; the message is what the person reads."""


class Environment:
    """The .venv of a project, with the extras it has to hold."""

    def __init__(self, root: Path, extras: "set[str]") -> None:
        self.root = root
        self.extras = extras
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.stamp = self.folder / "avatar-warmer.json"

    def is_ready(self) -> bool:
        """Whether it holds what is wanted now."""
        stamp = self._stamped()
        return stamp.get("wants") == self._wants() and self.extras <= set(stamp["extras"]) and self._runs(stamp)

    def make(self) -> None:
        """Make it, or install into the one that is there; nothing half-made stays behind."""
        before = self._stamped()
        self.extras |= set(before.get("extras", ()))
        is_new = not self._runs(before)
        check_signals()
        try:
            if is_new:
                self._remove()
                self._create()
            else:  # in place: something may be running in it
                self.stamp.unlink()
            say("Installing packages; this takes a minute or two, once…")
            self._install(*LOCKED, *self._locks())
            before.pop("wants", None)  # it holds other packages now: whatever fails next, the next start installs
            self._install(*PROJECT)
            self._write_stamp()
        except Failed:
            if is_new:
                self._remove()
            else:
                self.stamp.write_text(json.dumps(before))  # installers that fail change nothing
            raise
        except BaseException:
            self._remove()
            raise

    def _create(self) -> None:
        problem = ""
        found = []
        for python in interpreters.find():
            found.append(python)
            if python.has_venv:
                say("Making .venv with Python {}.{}…".format(*python.version))
                status, problem = run([python.program, "-m", "venv", str(self.folder)], "Making .venv")
                if status == 0:
                    return
                self._remove()
        uv = shutil.which("uv")
        if uv:  # it needs no venv module, and fetches a Python if there is none
            say("Making .venv with uv…")
            wanted = found[0].program if found else ">=3.11,<3.15"
            status, problem = run([uv, "venv", "--python", wanted, str(self.folder)], "Making .venv")
            if status == 0:
                return
        reason = "no environment could be made" if found else "no Python from 3.11 on was found"
        raise Failed("{}: {}{}".format(reason, ADVICE, problem and "\n" + problem))

    def _install(self, *what: str) -> None:
        has_pip = any(self.folder.glob("lib/python*/site-packages/pip"))
        uv = [shutil.which("uv") or "uv", "pip", "install", "--python", str(self.python)]
        installer = [str(self.python), "-m", "pip", "install"] if has_pip else uv
        status, problem = run([*installer, *what], "Installing packages", self.root)
        if status:
            raise Failed("the packages could not be installed; the installer's last lines:\n" + problem)

    def _locks(self) -> "list[str]":
        """The lock files to install from: each extra's holds what every run needs, too, at the same versions."""
        return [f"--requirement=requirements/{extra}.lock" for extra in sorted(self.extras) or ["run"]]

    def _write_stamp(self) -> None:
        python = interpreters.ask(str(self.python))
        if python is None:
            raise Failed("the new environment does not run: " + ADVICE)
        stamp = {"root": str(self.root), "wants": self._wants(), "extras": sorted(self.extras)}
        self.stamp.write_text(json.dumps({**stamp, "version": list(python.version)}))

    def _stamped(self) -> "dict[str, Any]":
        try:
            return dict(json.loads(self.stamp.read_text()))
        except (OSError, ValueError):
            return {}

    def _runs(self, stamp: "dict[str, Any]") -> bool:
        """Whether the stamped environment is still whole.

        It does not survive a move of its folder, and its interpreter belongs to the system, and may have gone.
        """
        python = interpreters.ask(str(self.python)) if stamp.get("root") == str(self.root) else None
        return python is not None and list(python.version) == stamp.get("version")

    def _wants(self) -> str:
        """What decides about the content."""
        locks = sorted((self.root / "requirements").glob("*.lock"))
        files = [self.root / "setup.cfg", self.root / "pyproject.toml", *locks]
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()

    def _remove(self) -> None:
        if self.folder.is_symlink():  # what it leads to is another project's
            self.folder.unlink()
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.stamp.unlink()  # first: whatever is left is not taken for whole
        shutil.rmtree(str(self.folder), ignore_errors=True)
