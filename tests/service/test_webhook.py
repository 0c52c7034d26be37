"""From a changed picture at Telegram to an empty cache: the service, nginx with the shipped file, and a receiver."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import requests

from tests.conftest import SIGNING_KEY, list_traces, make_picture, wait_until
from tests.service.test_proxies import purge
from tests.support.faults import DEADLINE, Stage
from tests.support.proxies import nginx
from tests.support.receiver import Got, Receiver, verify_by_hand
from tests.support.running import BROWSER_ACCEPT, REQUEST_SECONDS, ask_again
from tests.support.servers import Pieces, reply
from warmer.photo_urls import sign

_ids = count(9_300_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def cached(folder: Path, hooked_stage: Stage) -> Iterator[str]:
    """The service behind nginx."""
    with nginx(folder, hooked_stage.service.url) as url:
        yield url


@pytest.fixture
def purging(receiver: Receiver, folder: Path, cached: str) -> Receiver:
    """The receiver as a backend would be: it verifies, purges by the tags, then answers."""

    def answer(got: Got) -> Pieces:
        assert verify_by_hand(got)
        for tag in got.event["data"]["cache_tags"]:
            purge(folder, tag)
        return reply(status=204)

    receiver.answer = answer
    return receiver


def get(url: str) -> requests.Response:
    return ask_again(lambda: requests.get(url, headers={"Accept": BROWSER_ACCEPT}, timeout=REQUEST_SECONDS))


def count_events(receiver: Receiver, user_id: int) -> int:
    return len({got.id for got in receiver.got if got.event["data"]["id"] == user_id})


def list_copies(folder: Path, tag: str) -> str:
    """Returns the files of the cache with this tag."""
    found = subprocess.run(["grep", "-rla", tag, folder / "cache"], capture_output=True, text=True, check=False)
    return found.stdout


def test_a_refresh_a_change_and_a_deletion_reach_the_cache_in_front(
    hooked_stage: Stage, purging: Receiver, cached: str, folder: Path
) -> None:
    user_id, world = next(_ids), hooked_stage.fake.world
    world.add_user(user_id, "Ann", picture=make_picture())
    url = f"{cached}/api/photos/user/{user_id}?size=160&sig={sign(SIGNING_KEY, f'user:{user_id}')}"
    hooked_stage.register({user_id: None})
    wait_until(lambda: count_events(purging, user_id) == 1, DEADLINE)
    old = get(url)
    old_file = cached + purging.got[-1].event["data"]["photo_url"]
    assert (old.status_code, get(url).headers["X-Cache-Status"], get(old_file).status_code) == (200, "HIT", 200)

    world.change_photo(user_id, make_picture(color="red"))
    assert hooked_stage.service.ask("POST", "/api/photos/refresh", json={"ids": [user_id]}).status_code == 202
    wait_until(lambda: count_events(purging, user_id) == 2, DEADLINE)
    wait_until(lambda: get(url).headers["ETag"] != old.headers["ETag"], DEADLINE)  # once the receiver has purged
    event = purging.got[-1].event
    assert get(cached + event["data"]["photo_url"]).headers["ETag"] == get(url).headers["ETag"]
    assert set(old.headers["Cache-Tag"].split(",")) == set(event["data"]["cache_tags"])

    tags = {tag for answer in (old, get(url)) for tag in answer.headers["Cache-Tag"].split(",")}
    hooked_stage.forget(user_id)
    wait_until(lambda: count_events(purging, user_id) == 3, DEADLINE)
    gone = purging.got[-1].event
    assert (gone["type"], set(gone["data"]["cache_tags"])) == ("photo.gone", tags)
    wait_until(lambda: not any(list_copies(folder, tag) for tag in tags), DEADLINE)
    answers = [get(cached + re.sub(r"^https?://[^/]+", "", path)) for path in gone["data"]["urls"]]
    assert {answer.status_code for answer in answers} == {404}
    with hooked_stage.connect() as redis:
        wait_until(lambda: not list_traces(redis, user_id), DEADLINE)
