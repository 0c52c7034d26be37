"""THE FLOW: from a file id to finished bytes in Redis."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from faketelegram import FakeTelegram
from tests.conftest import listening, make_picture
from warmer.deadline import Errand
from warmer.errors import NotMine
from warmer.flow.steps import Desk
from warmer.flow.warm import warm_photo
from warmer.keys import Lane
from warmer.photo import Cut, Original, Rendering, Unavailable
from warmer.state.lease import Claim, Forgotten
from warmer.wiring import Workshop


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    return telegram.world.add_file(make_picture(200, 100))


JPEG = Cut(160, "jpeg")


def warm(shop: Workshop, file_id: str, lane: Lane = "warm", desk: Desk | None = None) -> str:
    return warm_photo(file_id, Errand.start(lane, 0), desk or shop.desk)


def try_warm(shop: Workshop, file_id: str) -> str:
    try:
        return warm(shop, file_id)
    except NotMine as reason:
        return str(reason)


def meanwhile(shop: Workshop, happens: Callable[[], object]) -> Desk:
    """A desk where something happens while the bytes are being fetched."""

    def fetch(claim: Claim, errand: Errand) -> Original:
        original = shop.desk.fetch(claim, errand)
        happens()
        return original

    return replace(shop.desk, fetch=fetch)


def test_every_size_in_the_first_format_and_a_preview_are_there(shop: Workshop, file_id: str) -> None:
    assert warm(shop, file_id) == "done"
    for size in shop.settings.photo_sizes:
        variant = shop.desk.store.get(file_id, size, "webp")
        assert variant
        with Image.open(BytesIO(variant.body)) as image:
            assert (image.format, image.size) == ("WEBP", (size, size))
    assert shop.desk.store.glance([file_id])[0].preview


def test_no_other_format_is_made_ahead_of_time(shop: Workshop, file_id: str) -> None:
    warm(shop, file_id)
    assert shop.desk.store.list_missing(file_id, ["80.jpeg"]) == [Cut(size, "jpeg") for size in (320, 160, 80)]


def test_a_warm_picture_costs_no_call(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    warm(shop, file_id)
    assert warm(shop, file_id) == "done"
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_many_workers_make_one_fetch(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    telegram.latency = 0.05
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: try_warm(shop, file_id), range(16)))
    assert outcomes.count("done") >= 1
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_later_format_is_cut_from_what_is_stored(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    warm(shop, file_id)
    shop.desk.store.want(file_id, JPEG)
    warm(shop, file_id)
    assert shop.desk.store.list_missing(file_id, [str(JPEG)]) == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_format_wanted_meanwhile_is_made_under_the_same_claim(
    shop: Workshop, file_id: str, telegram: FakeTelegram
) -> None:
    warm(shop, file_id, desk=meanwhile(shop, lambda: shop.desk.store.want(file_id, JPEG)))
    assert shop.desk.store.list_missing(file_id, [str(JPEG)]) == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_variant_that_was_evicted_is_made_from_a_larger_one(
    shop: Workshop, file_id: str, telegram: FakeTelegram
) -> None:
    warm(shop, file_id)
    shop.redis.delete(shop.keys.variant(file_id, 80, "webp"), shop.keys.preview(file_id))
    warm(shop, file_id)
    assert shop.desk.store.is_ready(file_id)
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_afterwards_nothing_but_the_picture_and_its_path_is_there(shop: Workshop, file_id: str) -> None:
    warm(shop, file_id)
    named = {key.decode().rpartition(":")[2] for key in shop.redis.scan_iter(f"*{file_id}*")}
    assert named == {"80.webp", "160.webp", "320.webp", "preview", "path"}


def test_a_renewal_downloads_nothing_and_extends_everything(
    shop: Workshop, file_id: str, telegram: FakeTelegram
) -> None:
    shop.partners.register(1, "Ann", file_id)
    warm(shop, file_id)
    calls, key = telegram.calls, shop.keys.variant(file_id, 80, "webp")
    shop.redis.expire(key, 10)
    warm(shop, file_id, "rewarm")
    assert shop.redis.ttl(key) > shop.settings.photo_ttl * 0.89
    assert telegram.calls == calls


def test_what_nobody_of_the_newest_shows_is_not_renewed(shop: Workshop, file_id: str) -> None:
    warm(shop, file_id)
    shop.redis.expire(key := shop.keys.variant(file_id, 80, "webp"), 10)
    warm(shop, file_id, "rewarm")
    assert shop.redis.ttl(key) <= 10


@pytest.mark.parametrize(
    ("method", "fault", "cause"),
    [
        ("getFile", "invalid-file-id", "invalid-file-id"),
        ("getFile", "file-too-big", "too-big"),
        ("download", "oversize", "too-big"),
        ("download", "not-an-image", "not-an-image"),
    ],
)
def test_what_is_for_good_is_remembered(
    shop: Workshop, file_id: str, telegram: FakeTelegram, method: str, fault: str, cause: str
) -> None:
    telegram.fail(method, fault)
    assert warm(shop, file_id).startswith(f"unavailable: {cause}")
    assert shop.desk.store.get_unavailable(file_id) == Unavailable(cause)


@pytest.mark.parametrize(
    "fault",
    ["bad-gateway", "connection-reset", "truncated-body", "temporarily-unavailable", "too-many-requests", "redirect"],
)
def test_what_passes_is_tried_again_and_then_warm(
    shop: Workshop, file_id: str, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getFile", fault)
    assert warm(shop, file_id).startswith("postponed")
    assert shop.due.count() == 1
    shop.redis.hdel(shop.budget.key, "paused_until")  # as if the pause had passed
    assert warm(shop, file_id) == "done"


def test_a_wrong_content_type_does_not_matter(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    telegram.fail("download", "wrong-content-type")
    assert warm(shop, file_id) == "done"


def test_a_picture_forgotten_in_the_middle_stays_forgotten(shop: Workshop, file_id: str) -> None:
    shop.partners.register(1, "Ann", file_id)
    with pytest.raises(Forgotten):
        warm(shop, file_id, desk=meanwhile(shop, lambda: shop.desk.forget.partner(1)))
    assert list(shop.redis.scan_iter(f"*{file_id}*")) == [shop.keys.forgotten(file_id).encode()]
    assert shop.due.count() == 0


def test_who_lost_the_lease_in_the_middle_stores_nothing(shop: Workshop, file_id: str) -> None:
    with pytest.raises(NotMine, match="lease"):
        warm(shop, file_id, desk=meanwhile(shop, lambda: shop.redis.set(shop.keys.claim(file_id), "another")))
    assert not shop.desk.store.is_ready(file_id)


@pytest.mark.parametrize("waited", [Cut(160, "webp"), Cut(80, "webp"), Cut(320, "jpeg")])
def test_what_a_client_waits_for_is_stored_and_announced_first(
    shop: Workshop, file_id: str, telegram: FakeTelegram, waited: Cut
) -> None:
    """Whether it came before the message or while the bytes were being fetched."""
    stored: list[list[str]] = []
    shop.desk.store.want(file_id, waited)
    with listening(shop.redis, shop.keys.done) as hear:
        warm(shop, file_id, desk=noting(shop.desk, stored))
        said = [hear() for _ in range(3)]
    # In any order: the nodes of a cluster do not wait for each other. Whoever hears one looks again.
    assert sorted(said) == [f"{file_id} {word}".encode() for word in ("done", "stored", "stored")]
    assert stored[0] == [str(waited)]
    assert shop.desk.store.list_missing(file_id, [str(waited)]) == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def noting(desk: Desk, stored: list[list[str]]) -> Desk:
    """The same desk; what is stored is noted, put by put."""

    def put(claim: Claim, rendering: Rendering) -> None:
        desk.put(claim, rendering)
        stored.append([str(variant.cut) for variant in rendering.variants])

    return replace(desk, put=put)


def test_where_nobody_waits_the_size_that_is_shown_comes_first(shop: Workshop, file_id: str) -> None:
    stored: list[list[str]] = []
    warm(shop, file_id, desk=noting(shop.desk, stored))
    assert stored == [["160.webp"], ["320.webp", "80.webp"]]


def test_who_begins_to_wait_during_the_fetch_is_served_first(shop: Workshop, file_id: str) -> None:
    stored: list[list[str]] = []
    desk = meanwhile(shop, lambda: shop.desk.store.want(file_id, Cut(80, "webp")))
    warm(shop, file_id, desk=noting(desk, stored))
    assert stored == [["80.webp"], ["320.webp", "160.webp"]]
