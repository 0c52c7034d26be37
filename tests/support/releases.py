"""Another release of the service: a copy of this tree with changes, run beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from faketelegram import FakeTelegram
from tests.support.faults import Stage, run_stage_at
from tests.support.redis_nodes import RedisServer
from tests.support.running import PATIENT, ROOT, Service

RATE = 20  # Telegram calls per second, for each release
RUNS = ("warmer", "web", "scripts", "celeryconfig.py", "flowerconfig.py", "gunicorn.conf.py", "Procfile")


class Change(NamedTuple):
    """A text in one file, and its replacement in the other release."""

    file: str
    old: str
    new: str


ANOTHER_LAYOUT = (Change("warmer/keys.py", 'f"v2:{bot_id}:"', 'f"v3:{bot_id}:"'),)
MORE_IS_SAID = (
    Change(
        "warmer/state/person.py", "record.update(id=person_id, name", 'record.update(badge="gold", id=person_id, name'
    ),
    Change(
        "warmer/worker/heartbeat.py",
        "json.dumps(asdict(self.status))",
        'json.dumps(asdict(self.status) | {"release": 2})',
    ),
    Change(
        "warmer/state/person.py",
        "record.update(id=person_id, looked_up_at",
        'record.update(shape="round", id=person_id, looked_up_at',
    ),
    Change("warmer/state/photos.py", '{"path": path.path,', '{"bytes": 5, "path": path.path,'),
    Change(
        "warmer/state/photos.py", '{"preview": rendering.preview,', '{"colour": "red", "preview": rendering.preview,'
    ),
    Change("warmer/state/failures.py", '{"cause": cause,', '{"tries": 1, "cause": cause,'),
    Change("warmer/broker/publish.py", "args=[subject, lane],", 'args=[subject, lane, "more"],'),
    Change("warmer/broker/publish.py", "kwargs=kwargs,", 'kwargs=kwargs | {"why": "due"},'),
)


def make_release(folder: Path, changes: tuple[Change, ...]) -> Path:
    """Write the tree of a release with these changes."""
    for name in RUNS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)
    for change in changes:
        file = folder / change.file
        text = file.read_text("utf-8")
        assert text.count(change.old) == 1, f"{change.file}: {change.old}"
        file.write_text(text.replace(change.old, change.new), "utf-8")
    return folder


class Deploy:
    """An old and a new release with one Redis, broker and Telegram; each can be stopped and started again."""

    def __init__(self, folder: Path, stack: ExitStack, changes: tuple[Change, ...]) -> None:
        self.roots = {"old": ROOT, "new": make_release(folder / "tree", changes)}
        self.server = stack.enter_context(RedisServer(folder / "redis"))
        self.fake = stack.enter_context(FakeTelegram(latency=0.02))
        self._folder = folder
        self._running: dict[str, ExitStack] = {}
        stack.callback(self._stop_all)

    def start(self, name: str, workers: int = 2) -> Stage:
        """Start a release beside the running ones; `workers` counts all that it will see."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        running = self._running[name] = ExitStack()
        given = {"REDIS_URL": self.server.url, "TELEGRAM_RATE": str(RATE), **PATIENT}
        return running.enter_context(run_stage_at(self.fake, folder, workers, self.roots[name], **given))

    def stop(self, name: str) -> None:
        """Stop it like an operator."""
        self._running.pop(name).close()

    def _stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)


def log_of(release: Stage) -> str:
    """Returns the log of its processes."""
    return "".join(release.log(name) for name in ("worker", "worker2", "web", "beat"))


def run_command(root: Path, service: Service, *arguments: str, given: str = "") -> str:
    """Run this release's `avatar-warmer` with the settings of this service. Returns its output."""
    code = "from warmer.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        env=service.environment,
        input=given,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
