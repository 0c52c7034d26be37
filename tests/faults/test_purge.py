"""From a changed picture at Telegram to an empty cache: the service, nginx with the shipped file, and a backend.

The backend is the shipped example. It takes the events and purges nginx.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from standardwebhooks import Webhook

from tests.conftest import API_KEY, SIGNING_KEY, list_traces, make_picture, wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage
from tests.support.flask_backend import run_backend
from tests.support.proxies import nginx
from tests.support.receiver import SECRET, Got, Receiver, verify_by_hand
from tests.support.running import BROWSER_ACCEPT, REQUEST_SECONDS, await_picture
from tests.support.servers import Pieces, reply
from warmer.keys import Keys
from warmer.photo_urls import sign

CHAIN = ["changed", "requested", "arrived", "signed", "new one served", "old one cached", "old one purged"]
_ids = count(9_300_000)


def get(url: str, accept: str = BROWSER_ACCEPT) -> requests.Response:
    return await_picture(lambda: requests.get(url, headers={"Accept": accept}, timeout=REQUEST_SECONDS))


def tags_of(answer: requests.Response) -> set[str]:
    return set(answer.headers["Cache-Tag"].split(","))


@dataclass(frozen=True)
class Front:
    """nginx before the service, and the backend behind a receiver that a test can look through."""

    stage: Stage
    receiver: Receiver
    nginx: str
    cache: Path
    backend: str

    def hold(self, tags: set[str]) -> bool:
        """Returns True if nginx holds an answer with one of these tags."""
        assert self.cache.is_dir()
        for file in self.cache.rglob("*"):
            with suppress(FileNotFoundError, IsADirectoryError):  # nginx removes files and folders
                answer = file.read_bytes()
                if any(tag.encode() in answer for tag in tags):
                    return True
        return False

    def pass_on(self, got: Got) -> Pieces:
        """The answer of the backend to this event."""
        answer = requests.post(
            f"{self.backend}hooks/avatars", data=got.body, headers=got.headers, timeout=REQUEST_SECONDS
        )
        return reply(status=answer.status_code)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, hooked_stage: Stage, receiver: Receiver) -> Iterator[Front]:
    folder, service = tmp_path_factory.mktemp("front"), hooked_stage.service.url
    settings = {"AVATAR_WEBHOOK_SECRET": SECRET, "PURGE_FOLDER": str(folder / "cache")}
    with nginx(folder, service) as url, run_backend(folder, service, API_KEY, {}, **settings) as backend:
        front = Front(hooked_stage, receiver, url, folder / "cache", backend)
        receiver.answer = front.pass_on
        yield front


@dataclass
class Person:
    """A person whose picture nginx holds, and the moments of the way of the next one."""

    front: Front
    id: int = field(default_factory=lambda: next(_ids))
    moments: list[str] = field(default_factory=list)
    kill: Callable[[], None] = lambda: None  # is called once, while the first event is sent

    def __post_init__(self) -> None:
        self.path = f"/api/photos/user/{self.id}?size=160&sig={sign(SIGNING_KEY, f'user:{self.id}')}"
        self.front.stage.fake.world.add_user(self.id, "Ann", picture=make_picture())
        self.front.stage.register({self.id: None})
        wait_until(lambda: self.has_delivered("photo.changed"), DEADLINE)
        self.old = self.fetch()
        self.fetch_variants()
        assert (self.old.status_code, self.fetch().headers["X-Cache-Status"]) == (200, "HIT")
        self.front.receiver.answer = self.watch

    def fetch(self) -> requests.Response:
        return get(self.front.nginx + self.path)

    def fetch_variants(self) -> None:
        """Let nginx hold other sizes and formats, too, and the answer under the URL of the last event."""
        paths = (self.path, self.path.replace("size=160", "size=80"), self.last_event()["photo_url"])
        urls = [self.front.nginx + path for path in paths]
        for url in (*urls, f"{urls[0]}&d=initials&initials=AN"):
            assert {get(url, accept).status_code for accept in (BROWSER_ACCEPT, "image/jpeg")} == {200}

    def list_events(self) -> list[str]:
        """Returns the types of the events in the order of their first arrival."""
        return [got.event["type"] for got in {got.id: got for got in self._list_got()}.values()]

    def has_delivered(self, *types: str) -> bool:
        """Returns True if these events have arrived, and none will come again: each answer has been read."""
        with self.front.stage.connect() as redis:
            events = Keys(str(self.front.stage.fake.world.bot_id)).events(self.id)
            return self.list_events() == list(types) and not redis.exists(events)

    def last_event(self) -> Any:
        return self._list_got()[-1].event["data"]

    def _list_got(self) -> list[Got]:
        return [got for got in list(self.front.receiver.got) if got.event["data"]["id"] == self.id]

    def change(self) -> None:
        """Change the picture at Telegram, and ask for a look at it."""
        self.front.stage.fake.world.change_photo(self.id, make_picture(color="red"))
        self.moments += ["changed", "requested"]
        answer = self.front.stage.service.ask("POST", "/api/photos/refresh", json={"ids": [self.id]})
        assert answer.status_code == 202

    def watch(self, got: Got) -> Pieces:
        """The answer of the backend; notes what holds when the event of a change arrives, and what holds after it."""
        is_watched = got.event["data"]["id"] == self.id and got.event["type"] == "photo.changed"
        if not is_watched or CHAIN[-1] in self.moments:  # or it comes again, maybe after the deletion
            return self.front.pass_on(got)
        kill, self.kill = self.kill, lambda: None
        kill()
        is_signed = verify_by_hand(got) and Webhook(SECRET).verify(got.body, got.headers) == got.event
        is_served = get(self.front.stage.service.url + self.path).headers["ETag"] != self.old.headers["ETag"]
        old_tags = tags_of(self.old)
        self.moments += ["arrived", "signed" if is_signed else "forged"]
        self.moments += ["new one served" if is_served else "old one served"]
        self.moments += ["old one cached" if self.front.hold(old_tags) else "none cached"]
        answer = self.front.pass_on(got)
        self.moments += ["old one kept" if self.front.hold(old_tags) else "old one purged"]
        return answer

    def forget(self, within: float) -> None:
        """Delete the person. Neither nginx nor the web tier may show anything of them, or list them."""
        wait_until(lambda: self.has_delivered("photo.changed", "photo.changed"), within)
        stage, new = self.front.stage, self.fetch()
        self.fetch_variants()
        assert get(self.front.nginx + self.last_event()["photo_url"]).headers["ETag"] == new.headers["ETag"]
        tags = tags_of(self.old) | tags_of(new)
        assert self.front.hold(tags)
        stage.forget(self.id)
        wait_until(lambda: self.list_events()[-1] == "photo.gone" and not self.front.hold(tags), within)
        assert set(self.last_event()["cache_tags"]) == tags
        paths = [self.path, *(re.sub(r"^https?://[^/]+", "", url) for url in self.last_event()["urls"])]
        places = (self.front.nginx, stage.service.url)
        assert {get(place + path).status_code for place in places for path in paths} == {404}
        assert str(self.id) not in stage.service.ask("GET", "/api/partner/recent").text


def kill_workers(stage: Stage) -> None:
    for process in stage.processes("worker", "worker2"):
        with suppress(psutil.NoSuchProcess):  # the event may arrive while the others are killed
            process.kill()


def test_a_new_picture_is_served_before_its_event_and_the_old_one_is_purged_after_it(
    front: Front, figure: Figure
) -> None:
    person, started = Person(front), time.monotonic()
    person.change()
    wait_until(lambda: CHAIN[-1] in person.moments, DEADLINE)
    figure("a changed picture: the refresh has purged nginx", time.monotonic() - started)
    assert person.moments[: len(CHAIN)] == CHAIN
    assert person.fetch().headers["ETag"] != person.old.headers["ETag"]
    assert set(person.last_event()["cache_tags"]) == tags_of(person.old)
    person.forget(DEADLINE)
    assert person.list_events() == ["photo.changed", "photo.changed", "photo.gone"]
    with front.stage.connect() as redis:
        wait_until(lambda: not list_traces(redis, person.id), DEADLINE)


def test_two_killed_workers_change_nothing_of_that(front: Front) -> None:
    person = Person(front)
    person.kill = partial(kill_workers, front.stage)  # while the event is sent
    person.change()
    kill_workers(front.stage)  # while the picture is looked at
    wait_until(lambda: CHAIN[-1] in person.moments, LEASE_DEADLINE)
    assert person.moments[: len(CHAIN)] == CHAIN
    person.forget(LEASE_DEADLINE)
    assert person.list_events() == ["photo.changed", "photo.changed", "photo.gone"]
    with front.stage.connect() as redis:  # the messages of the killed workers end with their visibility timeout
        wait_until(lambda: all(key.endswith(":unacked") for key in list_traces(redis, person.id)), LEASE_DEADLINE)
