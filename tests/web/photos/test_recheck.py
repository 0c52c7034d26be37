"""The check of lookups that found nothing sees whatever another look would find or request.

A round trip is for many of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import cast

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from benches.round_trips import counting
from tests.support.redis_kinds import list_masters
from tests.support.thorough import bounded
from tests.support.web_memory import hear_purges
from tests.support.web_parts import MakeApp, dump, file_url, new_file_id, new_id, store_picture, user_url
from tests.web.photos.conftest import let_markers_last
from warmer.etag import pack
from warmer.keys import Subject
from web.photos.app import PhotoLayer
from web.photos.lookup import PhotoLookup
from web.photos.recheck import CHUNK, find_news
from web.photos.waiting import LOOK_SECONDS
from web.wiring import WebContext, get_web_context

Act = Callable[["Scene"], object]


@dataclass
class Scene:
    """A person whose new picture is cold, and whose previous one is not stored either."""

    web: WebContext
    user_id: int
    previous: str
    new: str

    @property
    def person(self) -> Subject:
        return Subject.of_person(self.user_id)

    def set(self, *keys: str) -> None:
        for key in keys:
            self.web.redis.set(key, pack(b"anything"))

    def store(self, file_id: str, size: int = 160, fmt: str = "webp") -> None:
        self.set(self.web.keys.variant(file_id, size, fmt))

    def delete_marker(self, subject: str = "") -> None:
        self.web.redis.delete(self.web.keys.enqueued(subject or self.new, "hot"))

    def lease(self) -> None:
        self.set(self.web.keys.lease(self.new))

    def replace_marker_by_lease(self) -> None:
        self.lease()
        self.delete_marker()

    def want(self, *variants: str) -> None:
        self.web.redis.delete(self.web.keys.wanted(self.new))
        self.web.redis.sadd(self.web.keys.wanted(self.new), *variants)

    def register(self, name: str = "Ann", file_id: str | None = None) -> None:
        self.web.photos.people.register(self.user_id, name, file_id or self.new)


def open_scene(app: Flask) -> Scene:
    scene = Scene(get_web_context(app), new_id(), new_file_id(), new_file_id())
    scene.register(file_id=scene.previous)
    scene.register()
    return scene


def look_for(app: Flask, url: str, accept: str = "image/webp", if_none_match: str | None = None) -> PhotoLookup:
    """Returns a lookup after its first look, which has found nothing and requested the picture."""
    layer = cast(PhotoLayer, app.wsgi_app)
    path, _, query = url.partition("?")
    photo_request = layer.context.request_parser.read(path, query, accept)
    lookup = PhotoLookup(app, layer.context, photo_request, layer.common)
    assert lookup.read((if_none_match,)) is None
    assert lookup.request_warming()
    return lookup


def has_news(app: Flask, lookup: PhotoLookup) -> bool:
    [news] = find_news(get_web_context(app).photos, [lookup])
    return news


@pytest.fixture(autouse=True)
def patient(app: Flask) -> None:
    let_markers_last(app)


@pytest.fixture
def scene(app: Flask) -> Scene:
    return open_scene(app)


OF_A_PICTURE: dict[str, Act] = {
    "it is stored": lambda scene: scene.store(scene.new),
    "it is unavailable": lambda scene: scene.set(scene.web.keys.unavailable(scene.new)),
    "it was forgotten": lambda scene: scene.set(scene.web.keys.forgotten(scene.new)),
    "a worker ended without it": lambda scene: scene.delete_marker(),
    "a worker took note of another variant alone": lambda scene: scene.want("160.jpeg"),
}
OF_A_PERSON: dict[str, Act] = {
    "the previous picture is stored": lambda scene: scene.store(scene.previous),
    "it shows another picture": lambda scene: scene.register(file_id=new_file_id()),
    "it shows none": lambda scene: scene.web.redis.delete(scene.web.keys.person(scene.user_id)),
}
NOTHING: dict[str, Act] = {
    "all is as before": lambda _: None,
    "a worker has taken the lease": lambda scene: scene.replace_marker_by_lease(),
    "a worker has the lease while a message is queued": lambda scene: scene.lease(),
    "another size is stored": lambda scene: scene.store(scene.new, 80),
    "another format is stored": lambda scene: scene.store(scene.new, fmt="jpeg"),
    "other variants are wanted, too": lambda scene: scene.want("160.webp", "80.webp"),
    "the name has changed": lambda scene: scene.register("Bob"),
    "a picture is unavailable that is not shown": lambda scene: scene.set(scene.web.keys.unavailable(new_file_id())),
}


@pytest.mark.parametrize("if_none_match", [None, '"x"'])
@pytest.mark.parametrize("change", OF_A_PICTURE)
def test_a_change_of_a_picture_is_news_for_its_url_and_for_that_of_a_person(
    app: Flask, scene: Scene, change: str, if_none_match: str | None
) -> None:
    urls = file_url(scene.new), user_url(scene.user_id)
    lookups = [look_for(app, url, if_none_match=if_none_match) for url in urls]
    assert [has_news(app, lookup) for lookup in lookups] == [False, False]
    OF_A_PICTURE[change](scene)
    assert [has_news(app, lookup) for lookup in lookups] == [True, True]


@pytest.mark.parametrize("change", OF_A_PERSON)
def test_a_change_of_a_person_is_news_for_its_url_alone(app: Flask, scene: Scene, change: str) -> None:
    picture, person = look_for(app, file_url(scene.new)), look_for(app, user_url(scene.user_id))
    OF_A_PERSON[change](scene)
    assert (has_news(app, picture), has_news(app, person)) == (False, True)


@pytest.mark.parametrize("change", NOTHING)
def test_what_a_look_would_not_care_for_is_no_news(app: Flask, scene: Scene, change: str) -> None:
    picture, person = look_for(app, file_url(scene.new)), look_for(app, user_url(scene.user_id))
    NOTHING[change](scene)
    assert (has_news(app, picture), has_news(app, person)) == (False, False)


def test_of_formats_that_suit_equally_each_is_news(app: Flask, scene: Scene) -> None:
    both = {"accept": "image/webp, image/avif"}
    lookup = look_for(app, file_url(scene.new), **both)
    for fmt in lookup.photo_request.formats:
        scene.store(scene.new, fmt=fmt)
        assert has_news(app, lookup)
        scene.web.redis.delete(scene.web.keys.variant(scene.new, 160, fmt))
        assert not has_news(app, lookup)


UNKNOWN: dict[str, Act] = {
    "its profile has been looked up": lambda scene: scene.register(),
    "it has no picture": lambda scene: scene.set(scene.web.keys.unavailable(scene.person)),
    "it was forgotten": lambda scene: scene.set(scene.web.keys.forgotten(scene.person)),
    "a worker ended without an outcome": lambda scene: scene.delete_marker(scene.person),
}


@pytest.mark.parametrize("change", UNKNOWN)
def test_news_of_an_unknown_id(app: Flask, change: str) -> None:
    scene = Scene(get_web_context(app), new_id(), new_file_id(), new_file_id())
    lookup = look_for(app, user_url(scene.user_id))
    assert not has_news(app, lookup)
    UNKNOWN[change](scene)
    assert has_news(app, lookup)


def lose_again(web_context: WebContext, file_id: str) -> None:
    """Redis loses the picture while a message for it is queued."""
    web_context.redis.delete(web_context.keys.variant(file_id, 160, "webp"))
    web_context.redis.set(web_context.keys.enqueued(file_id, "hot"), "1")
    web_context.redis.sadd(web_context.keys.wanted(file_id), "160.webp")


def test_an_answer_in_memory_is_news_even_if_redis_has_lost_it(app: Flask) -> None:
    hear_purges(app)
    url, web_context = file_url(file_id := new_file_id()), get_web_context(app)
    lookup = look_for(app, url)
    store_picture(app, file_id)
    assert lookup.read((None,)) is not None
    lose_again(web_context, file_id)
    assert has_news(app, lookup)
    web_context.photos.cache.drop(lookup.photo_request)
    assert not has_news(app, lookup)


def test_an_etag_in_memory_is_no_news_if_redis_has_lost_the_picture(app: Flask) -> None:
    """Clients without these bytes wait for it, and each look would request it again."""
    hear_purges(app)
    lookup, web_context = look_for(app, file_url(file_id := new_file_id())), get_web_context(app)
    store_picture(app, file_id)
    header = web_context.photos.store.get_header(file_id, 160, "webp")
    assert header
    assert lookup.read((header.etag,))
    assert web_context.photos.cache.get(lookup.photo_request)
    lose_again(web_context, file_id)
    assert not has_news(app, lookup)


def test_each_lookup_gets_its_own_answer_and_a_chunk_takes_one_round_trip(app: Flask) -> None:
    scenes = [open_scene(app) for _ in range(CHUNK + 20)]
    lookups = [look_for(app, user_url(scene.user_id)) for scene in scenes]
    for scene in scenes[::3]:
        scene.store(scene.previous)
    for scene in scenes[1::3]:
        scene.delete_marker()
    web_context = get_web_context(app)
    with counting() as by_thread:
        news = find_news(web_context.photos, lookups)
    assert news == [place % 3 < 2 for place in range(CHUNK + 20)]
    counts = by_thread[threading.get_ident()]  # others may listen meanwhile
    assert counts.total() <= 2 * len(list_masters(web_context.redis))  # of a cluster, one for each node


def test_after_another_look_the_check_asks_for_the_pictures_that_the_id_shows_then(app: Flask, scene: Scene) -> None:
    lookup = look_for(app, user_url(scene.user_id))
    assert not has_news(app, lookup)
    scene.register(file_id=(newest := new_file_id()))
    assert has_news(app, lookup)
    assert lookup.read((None,)) is None
    assert lookup.request_warming()
    assert not has_news(app, lookup)
    scene.store(scene.previous)  # it is none of the two that the id shows
    assert not has_news(app, lookup)
    scene.store(newest)
    assert has_news(app, lookup)


@pytest.mark.usefixtures("redis", "telegram")
def test_a_check_that_takes_long_asks_for_the_rest_at_once(make_app: MakeApp) -> None:
    """A shard that is away makes each round trip last as long as the timeout."""
    instants = count(step=LOOK_SECONDS)
    app = make_app(clock=lambda: next(instants))
    lookups = [look_for(app, file_url(new_file_id())) for _ in range(3 * CHUNK)]
    web_context = get_web_context(app)
    with counting() as by_thread:
        assert find_news(web_context.photos, lookups) == [False] * len(lookups)
    counts = by_thread[threading.get_ident()]
    assert counts.total() <= 2 * len(list_masters(web_context.redis))


@pytest.mark.parametrize(("kind", "round_trips"), [("file", 3), ("user", 4)])
def test_a_look_that_finds_nothing_again_takes_several_round_trips(app: Flask, kind: str, round_trips: int) -> None:
    """As docs/performance.md says."""
    get_web_context(app).photos.people.register(user_id := new_id(), "Ann", file_id := new_file_id())
    lookup = look_for(app, file_url(file_id) if kind == "file" else user_url(user_id))
    with counting() as by_thread:
        assert lookup.read((None,)) is None
        assert lookup.request_warming()
    counts = by_thread[threading.get_ident()]  # others may listen meanwhile
    assert counts.total() == round_trips


def test_without_redis_every_lookup_has_news(app: Flask) -> None:
    lookups = [look_for(app, file_url(new_file_id())) for _ in range(2)]
    for master in list_masters(get_web_context(app).redis):
        master.connection_pool.open()  # as after a timeout
    assert find_news(get_web_context(app).photos, lookups) == [True, True]


def test_a_command_that_redis_refuses_is_news_for_its_lookup_alone(app: Flask) -> None:
    file_ids = [new_file_id() for _ in range(3)]
    lookups = [look_for(app, file_url(file_id)) for file_id in file_ids]
    web_context = get_web_context(app)
    web_context.redis.set(web_context.keys.wanted(file_ids[1]), "not a set")
    assert find_news(web_context.photos, lookups) == [False, True, False]


def test_an_error_of_ours_is_logged_and_each_lookup_without_an_answer_has_news(
    app: Flask, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [look_for(app, file_url(new_file_id())) for _ in range(CHUNK + 1)]
    lookups = [*pictures[:-1], look_for(app, user_url(scene.user_id)), pictures[-1]]
    scene.web.redis.set(scene.web.keys.person(scene.user_id), "no JSON")
    assert find_news(scene.web.photos, lookups) == [*[False] * CHUNK, True, True]
    assert [record.message for record in caplog.records] == ["the check failed, so each flight looks"]


def store_one(whose: str, size: int, fmt: str, scene: Scene) -> None:
    scene.store(getattr(scene, whose), size, fmt)


def set_one(whose: str, name: str, scene: Scene) -> None:
    scene.set(getattr(scene.web.keys, name)(getattr(scene, whose)))


def end_one(whose: str, scene: Scene) -> None:
    scene.delete_marker(getattr(scene, whose))


def list_acts() -> dict[str, Act]:
    """What may happen to any key that a look could read."""
    acts: dict[str, Act] = {
        "pinned": lambda scene: scene.register(file_id=new_file_id()),
        "renamed": lambda scene: scene.register("Bob"),
        "unknown": lambda scene: scene.web.redis.delete(scene.web.keys.person(scene.user_id)),
        "wanted no more": lambda scene: scene.web.redis.delete(scene.web.keys.wanted(scene.new)),
        "others wanted": lambda scene: scene.want("320.avif"),
        "leased": lambda scene: scene.lease(),
        "leased, not queued": lambda scene: scene.replace_marker_by_lease(),
    }
    for whose in ("new", "previous", "person"):
        for size in (80, 160):
            for fmt in ("webp", "jpeg"):
                acts[f"{whose} {size}.{fmt}"] = partial(store_one, whose, size, fmt)
        for name in ("unavailable", "forgotten", "preview", "path", "backoff", "crashes"):
            acts[f"{whose} {name}"] = partial(set_one, whose, name)
        acts[f"{whose} ended"] = partial(end_one, whose)
    return acts


ACTS = list_acts()
ASKED: dict[str, Callable[[Scene], str]] = {
    "picture": lambda scene: file_url(scene.new),
    "small picture": lambda scene: file_url(scene.new, size=80),
    "person": lambda scene: user_url(scene.user_id),
}


@bounded(60, 1000)
@given(
    asked=st.sampled_from(sorted(ASKED)),
    accept=st.sampled_from(["image/webp", "image/jpeg"]),
    if_none_match=st.sampled_from([None, '"x"']),
    acts=st.lists(st.sampled_from(sorted(ACTS)), max_size=3),
)
def test_without_news_another_look_finds_nothing_and_changes_nothing(
    app: Flask, asked: str, accept: str, if_none_match: str | None, acts: list[str]
) -> None:
    """So the check misses nothing."""
    scene = open_scene(app)
    lookup = look_for(app, ASKED[asked](scene), accept, if_none_match)
    for act in acts:
        ACTS[act](scene)
    news, before = has_news(app, lookup), dump(app)
    if not news:
        assert lookup.read((if_none_match,)) is None
        assert lookup.request_warming()
        assert dump(app) == before
    scene.web.redis.flushall()
