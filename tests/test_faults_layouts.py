"""Two releases at once, the next with another layout of keys: forwards, and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.faults import Clients, RedisServer, Stage, run_stage_at
from tests.running import ROOT

pytestmark = pytest.mark.faults
CODE = ("warmer", "web", "scripts", "celeryconfig.py", "gunicorn.conf.py", "Procfile", "setup.cfg", "pyproject.toml")
OLD, NEXT = "v1:", "v2:"


@dataclass
class Place:
    """Where releases run: one Redis, one Telegram."""

    server: RedisServer
    fake: FakeTelegram
    folder: Path
    running: dict[Path, ExitStack] = field(default_factory=dict)

    def start(self, root: Path, name: str) -> Stage:
        stack = self.running[root] = ExitStack()
        stage: AbstractContextManager[Stage] = run_stage_at(
            self.fake, self.folder / name, 2, root, REDIS_URL=self.server.url
        )
        return stack.enter_context(stage)

    def stop(self, root: Path) -> None:
        self.running.pop(root).close()

    def read(self, layout: str) -> dict[bytes, Any]:
        """Every picture that this layout holds."""
        names: list[Any] = list(self.server.client.scan_iter(f"{layout}*.webp"))
        return {name: self.server.client.get(name) for name in names}

    def count(self, layout: str) -> int:
        return sum(1 for _ in self.server.client.scan_iter(f"{layout}*"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    server = RedisServer(tmp_path / "redis")
    with FakeTelegram(latency=0.02) as fake:
        place = Place(server, fake, tmp_path)
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
        yield place
        for root in list(place.running):
            place.stop(root)
    server.kill()


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    """This tree, with the layout's version raised."""
    root = tmp_path / "next"
    root.mkdir()
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    keys = root / "warmer" / "keys.py"
    text = keys.read_text()
    assert f'f"{OLD}{{' in text
    keys.write_text(text.replace(f'f"{OLD}{{', f'f"{NEXT}{{'))
    return root


def test_a_release_with_another_layout_is_deployed_and_taken_back(place: Place, next_release: Path) -> None:
    old = place.start(ROOT, "one")
    people = old.warm(10)
    pictures = place.read(OLD)
    with Clients(*(lambda session, file_id=file_id: old.get(file_id, session) for file_id in people.values())) as seen:
        new = place.start(next_release, "two")
        wait_until(lambda: len(seen.answers) > 100)
        # It starts cold: nothing of the old is misread, and what a backend registers again is warm again.
        assert {new.ask(f"/api/partner/{user_id}").status for user_id in people} == {404}
        assert {new.put(user_id, file_id).status for user_id, file_id in people.items()} == {201}
        wait_until(lambda: all(map(new.is_ready, people)))
        late = new.warm(5)
        assert new.ask(f"/api/partner/{min(people)}", "DELETE").status == 204
    assert {answer.status for answer in seen.answers} == {200}
    assert place.read(OLD) == pictures
    assert len(place.read(NEXT)) == 3 * (len(people) - 1 + len(late))

    place.stop(ROOT)  # forwards
    assert {new.get(file_id).status for file_id in late.values()} == {200}
    new.warm(3)

    place.stop(next_release)  # and back
    downloads = place.fake.calls["download"]
    old = place.start(ROOT, "three")
    assert {old.state_of(user_id) for user_id in people} == {"ready"}
    assert {old.get(file_id).status for file_id in people.values()} == {200}
    assert place.fake.calls["download"] == downloads
    assert {old.ask(f"/api/partner/{user_id}").status for user_id in late} == {404}
    assert {old.put(user_id, file_id).status for user_id, file_id in late.items()} == {201}
    wait_until(lambda: all(map(old.is_ready, late)))


def test_what_one_layout_publishes_no_worker_of_the_other_takes(place: Place, next_release: Path) -> None:
    old, new = place.start(ROOT, "one"), place.start(next_release, "two")
    for process in old.processes("worker", "worker2"):
        process.suspend()
    people = old.add_people(10)
    assert {old.put(user_id, file_id).status for user_id, file_id in people.items()} == {201}
    new.warm(10)
    assert {old.state_of(user_id) for user_id in people} == {"warming"}
    for process in old.processes("worker", "worker2"):
        process.resume()
    wait_until(lambda: all(map(old.is_ready, people)))
