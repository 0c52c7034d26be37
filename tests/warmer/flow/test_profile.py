"""Following a profile: looked up, warmed, and then shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces, listening, make_picture, next_id, wait_until
from warmer.deadline import Errand
from warmer.errors import NotMine
from warmer.flow.profile import follow_profile
from warmer.flow.steps import Desk
from warmer.flow.warm import warm_photo
from warmer.keys import Lane, user_subject
from warmer.photo import Original, PhotoSize, Rendering, Unavailable
from warmer.state.lease import Claim
from warmer.state.partners import Partner
from warmer.wiring import Workshop

TEAL, RED = make_picture(), make_picture(color="red")


@pytest.fixture
def user_id(telegram: FakeTelegram) -> int:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=TEAL)
    return user_id


@pytest.fixture
def partner_id(shop: Workshop, user_id: int) -> int:
    """One who has registered, and follows the profile."""
    shop.partners.register(user_id, "Ann", None)
    return user_id


def follow(shop: Workshop, user_id: int, lane: Lane = "warm", desk: Desk | None = None) -> str:
    return follow_profile(user_id, Errand.start(lane, 0), desk or shop.desk)


def grow_old(shop: Workshop, user_id: int) -> None:
    """As if the last look-up had been hours ago."""
    shop.desk.profiles.mark_old(user_id)


def get_partner(shop: Workshop, partner_id: int) -> Partner:
    partner = shop.partners.get(partner_id)
    assert partner
    return partner


# The first picture


def test_the_first_picture_is_looked_up_warmed_and_shown(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    assert follow(shop, partner_id) == "done"
    shown = get_partner(shop, partner_id).photo_file_id
    assert shown == telegram.world.file_id(partner_id, 320)
    assert shop.desk.store.is_ready(str(shown))
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 1, "download": 1}


def test_the_smallest_sufficient_size_is_fetched(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    asked = [params["file_id"] for _, method, params in telegram.log if method == "getFile"]
    assert asked == [telegram.world.file_id(partner_id, 320)]


def test_one_who_never_registered_is_remembered_as_a_profile_alone(
    shop: Workshop, user_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, user_id)
    profile = shop.desk.profiles.get(user_id)
    assert profile
    assert profile.file_id == telegram.world.file_id(user_id, 320)
    assert shop.desk.store.is_ready(profile.file_id)
    assert shop.partners.get(user_id) is None


def test_a_group_is_followed_by_get_chat(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    shop.partners.register(chat_id, "Us", None)
    assert follow(shop, chat_id) == "done"
    assert get_partner(shop, chat_id).photo_file_id == telegram.world.file_id(chat_id, 640)
    assert telegram.calls == {"getChat": 1, "getFile": 1, "download": 1}


def test_a_merely_public_picture_is_found(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=TEAL, public_only=True)
    shop.partners.register(user_id, "Ann", None)
    assert follow(shop, user_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1, "getChat": 1, "getFile": 1, "download": 1}


def test_a_pinned_partner_is_not_looked_up(shop: Workshop, user_id: int, telegram: FakeTelegram) -> None:
    shop.partners.register(user_id, "Ann", telegram.world.file_id(user_id))
    assert "pinned" in follow(shop, user_id)
    assert not telegram.calls


def test_two_followers_at_once_are_one(shop: Workshop, partner_id: int) -> None:
    with shop.desk.hold(user_subject(partner_id), "warm"), pytest.raises(NotMine, match="held"):
        follow(shop, partner_id)


# Unchanged


def test_an_unchanged_picture_is_not_downloaded_again(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    telegram.reset()
    grow_old(shop, partner_id)
    assert follow(shop, partner_id, "rewarm") == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1}


@pytest.mark.parametrize("width", [160, 320, 640])
def test_a_picture_is_unchanged_in_any_of_its_sizes(
    shop: Workshop, user_id: int, telegram: FakeTelegram, width: int
) -> None:
    shown = telegram.world.file_id(user_id, width)
    shop.partners.register(user_id, "Ann", shown)
    warm_photo(shown, Errand.start("warm", 0), shop.desk)
    shop.partners.register(user_id, "Ann", None)
    telegram.reset()
    assert follow(shop, user_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1}
    assert get_partner(shop, user_id).photo_file_id == shown


def test_just_looked_up_is_not_looked_up_again(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    telegram.reset()
    assert follow(shop, partner_id) == "done"
    assert not telegram.calls


def test_a_check_renews_the_picture_without_a_download(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    key = shop.keys.variant(telegram.world.file_id(partner_id, 320), 80, "webp")
    shop.redis.expire(key, 10)
    grow_old(shop, partner_id)
    follow(shop, partner_id, "rewarm")
    assert shop.redis.ttl(key) > 10
    assert telegram.calls["download"] == 1


# Changed


def test_a_changed_picture_is_fetched_and_shown(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    telegram.world.change_photo(partner_id, RED)
    grow_old(shop, partner_id)
    assert follow(shop, partner_id, "rewarm") == "done"
    new = telegram.world.file_id(partner_id, 320)
    assert shop.partners.list_photos(partner_id) == [new]
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 2, "download": 2}


def test_the_old_picture_stays_until_the_new_one_is_ready(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    grow_old(shop, partner_id)
    telegram.fail("download", "bad-gateway")
    assert follow(shop, partner_id).startswith("postponed")
    assert get_partner(shop, partner_id).photo_file_id == old
    assert shop.desk.store.is_ready(old)
    assert follow(shop, partner_id) == "done"
    assert get_partner(shop, partner_id).photo_file_id == telegram.world.file_id(partner_id, 320) != old


def test_a_new_picture_that_cannot_be_had_leaves_the_old_one(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    grow_old(shop, partner_id)
    telegram.fail("download", "not-an-image")
    assert follow(shop, partner_id).startswith("unavailable: gave-up")
    assert get_partner(shop, partner_id).photo_file_id == old
    assert shop.desk.store.is_ready(old)


def test_a_changed_group_picture_is_found_though_its_old_file_id_died(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    shop.partners.register(chat_id, "Us", None)
    follow(shop, chat_id)
    telegram.world.change_photo(chat_id, RED)
    grow_old(shop, chat_id)
    assert follow(shop, chat_id) == "done"
    assert get_partner(shop, chat_id).photo_file_id == telegram.world.file_id(chat_id, 640)


# Hidden


def test_a_hidden_picture_is_dropped_and_forgotten(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    shown = telegram.world.file_id(partner_id, 320)
    telegram.world.hide_photo(partner_id)
    grow_old(shop, partner_id)
    assert follow(shop, partner_id, "rewarm").startswith("unavailable: none")
    assert list_traces(shop.redis, shown) == []
    assert get_partner(shop, partner_id).photo_file_id is None
    assert shop.desk.store.get_unavailable(user_subject(partner_id)) == Unavailable("none")


def test_a_hidden_picture_that_another_partner_shows_stays(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, partner_id)
    shop.partners.register(next_id(), "Bob", shown := telegram.world.file_id(partner_id, 320))
    telegram.world.hide_photo(partner_id)
    grow_old(shop, partner_id)
    follow(shop, partner_id)
    assert shop.desk.store.is_ready(shown)
    assert shop.partners.list_photos(partner_id) == []


def test_a_picture_that_is_shown_again_is_warmed_again(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    follow(shop, partner_id)
    telegram.world.hide_photo(partner_id)
    grow_old(shop, partner_id)
    follow(shop, partner_id)
    telegram.world.show_photo(partner_id)
    assert follow(shop, partner_id) == "done"
    assert shop.desk.store.is_ready(telegram.world.file_id(partner_id, 320))
    assert shop.desk.store.get_unavailable(user_subject(partner_id)) is None


# Later


def test_a_postponed_warming_goes_on_without_a_second_look_up(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "bad-gateway")
    assert follow(shop, partner_id).startswith("postponed")
    assert follow(shop, partner_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 2, "download": 1}


def test_a_picture_that_another_worker_warms_is_shown_soon(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    claim = shop.desk.claims.take(telegram.world.file_id(partner_id, 320), "hot")
    assert follow(shop, partner_id).startswith("postponed")
    shop.desk.claims.release(claim)
    assert follow(shop, partner_id) == "done"
    assert telegram.calls["getUserProfilePhotos"] == 1


def test_a_picture_remembered_as_unavailable_is_not_asked_for_again(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "invalid-file-id", times=None)
    for _ in range(2):
        assert follow(shop, partner_id).startswith("unavailable")
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 1}


def test_a_picture_that_crashes_its_worker_is_left_alone(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    shown = telegram.world.file_id(partner_id, 320)
    shop.redis.set(shop.keys.attempts(shown), 3)
    assert follow(shop, partner_id).startswith("postponed")
    assert follow(shop, partner_id).startswith("unavailable: gave-up")
    assert not telegram.calls["getFile"]


def test_a_picture_pinned_meanwhile_is_not_overwritten(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    pinned = telegram.world.add_file(RED)
    follow(shop, partner_id, desk=meanwhile(shop, "fetch", lambda: shop.partners.register(partner_id, "Ann", pinned)))
    assert get_partner(shop, partner_id).photo_file_id == pinned
    assert not shop.desk.store.is_ready(telegram.world.file_id(partner_id, 320))


def test_the_old_picture_stays_when_a_new_one_is_pinned_meanwhile(
    shop: Workshop, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, partner_id)
    shown, pinned = telegram.world.file_id(partner_id, 320), telegram.world.add_file(RED)
    grow_old(shop, partner_id)
    follow(shop, partner_id, desk=meanwhile(shop, "look_up", lambda: shop.partners.register(partner_id, "Ann", pinned)))
    assert shop.partners.list_photos(partner_id) == [pinned, shown]
    assert shop.desk.store.is_ready(shown)


# Forgotten in the middle


def meanwhile(shop: Workshop, step: str, happens: Callable[[], object]) -> Desk:
    """A desk where something happens at the end of one step."""

    def look_up(user_id: int, errand: Errand) -> list[PhotoSize]:
        sizes = shop.desk.look_up(user_id, errand)
        happens()
        return sizes

    def fetch(claim: Claim, errand: Errand) -> Original:
        original = shop.desk.fetch(claim, errand)
        happens()
        return original

    def put(claim: Claim, rendering: Rendering) -> None:
        shop.desk.put(claim, rendering)
        happens()

    steps = {"look_up": look_up, "fetch": fetch, "put": put}
    return replace(shop.desk, **{step: steps[step]})  # type: ignore[arg-type]  # one of the three


STEPS = ("look_up", "fetch", "put")


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_forgotten_in_the_middle_leaves_nothing(
    shop: Workshop, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    forget = meanwhile(shop, step, lambda: shop.desk.forget.partner(partner_id))
    with suppress(NotMine):
        follow(shop, partner_id, desk=forget)
    file_ids = [telegram.world.file_id(partner_id, width) for width in (160, 320, 640)]
    assert list_traces(shop.redis, partner_id, *file_ids) == []


def test_one_who_never_registered_can_be_forgotten_in_the_middle_too(
    shop: Workshop, user_id: int, telegram: FakeTelegram, step: str
) -> None:
    forget = meanwhile(shop, step, lambda: shop.desk.forget.partner(user_id))
    with suppress(NotMine):
        follow(shop, user_id, desk=forget)
    assert list_traces(shop.redis, user_id, telegram.world.file_id(user_id, 320)) == []


@pytest.mark.parametrize("fault", ["bad-gateway", "not-an-image"])
def test_forgotten_in_the_middle_of_a_failure_leaves_nothing(
    shop: Workshop, partner_id: int, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("download", fault)

    def fetch(claim: Claim, errand: Errand) -> Original:
        try:
            return shop.desk.fetch(claim, errand)
        finally:
            shop.desk.forget.partner(partner_id)

    with suppress(NotMine):
        follow(shop, partner_id, desk=replace(shop.desk, fetch=fetch))
    assert telegram.calls["download"] == 1
    assert list_traces(shop.redis, partner_id, telegram.world.file_id(partner_id, 320)) == []


def test_forgotten_during_a_check_a_picture_that_was_shown_stays_forgotten(
    shop: Workshop, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    follow(shop, partner_id)
    grow_old(shop, partner_id)
    with suppress(NotMine):
        follow(shop, partner_id, desk=meanwhile(shop, step, lambda: shop.desk.forget.partner(partner_id)))
    if step == "look_up":
        assert shop.desk.store.get_unavailable(telegram.world.file_id(partner_id, 320)) == Unavailable("forgotten")


def test_forgetting_one_who_never_registered_covers_former_pictures(
    shop: Workshop, user_id: int, telegram: FakeTelegram
) -> None:
    follow(shop, user_id)
    old = telegram.world.file_id(user_id, 320)
    telegram.world.change_photo(user_id, RED)
    grow_old(shop, user_id)
    follow(shop, user_id)
    shop.desk.forget.partner(user_id)
    for file_id in (old, telegram.world.file_id(user_id, 320)):
        assert shop.desk.store.get_unavailable(file_id) == Unavailable("forgotten")


def test_a_file_id_that_died_with_a_change_leads_to_the_new_picture(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", public_only=True)
    shop.partners.register(user_id, "Ann", None)
    follow(shop, user_id)
    dead = str(get_partner(shop, user_id).photo_file_id)
    telegram.world.change_photo(user_id)
    shop.redis.delete(*list(shop.redis.scan_iter(f"*{{{dead}}}:*.webp")), shop.keys.path(dead))
    warm_photo(dead, Errand.start("warm", 0), shop.desk)
    assert user_subject(user_id) in shop.due.take(10, 60)
    grow_old(shop, user_id)
    follow(shop, user_id, "rewarm")
    assert get_partner(shop, user_id).photo_file_id not in (None, dead)


def test_a_picture_in_other_hands_does_not_end_a_wait(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    claim = shop.desk.claims.take(file_id := telegram.world.file_id(partner_id, 320), "warm")
    with listening(shop.redis, shop.keys.done) as hear:
        assert "held by another worker" in follow(shop, partner_id, "hot")
        shop.redis.publish(shop.keys.done, "the end")
        said = list(iter(lambda: wait_until(hear), b"the end"))
    assert [word for word in said if file_id.encode() in word] == []  # a cluster may bring an earlier test's word late
    shop.desk.claims.release(claim)


def test_what_was_not_looked_up_is_not_noted_as_looked_up(shop: Workshop, partner_id: int) -> None:
    follow(shop, partner_id)
    before = shop.desk.profiles.get(partner_id)
    assert before
    earlier = asdict(before) | {"looked_up_at": before.looked_up_at - 5}
    shop.redis.set(shop.keys.profile(partner_id), json.dumps(earlier))
    follow(shop, partner_id)
    after = shop.desk.profiles.get(partner_id)
    assert after
    assert after.looked_up_at == before.looked_up_at - 5


def test_forgotten_while_a_changed_picture_is_fetched_leaves_neither(
    shop: Workshop, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    follow(shop, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    grow_old(shop, partner_id)
    with suppress(NotMine):
        follow(shop, partner_id, desk=meanwhile(shop, step, lambda: shop.desk.forget.partner(partner_id)))
    assert list_traces(shop.redis, partner_id, old, telegram.world.file_id(partner_id, 320)) == []


def test_forgotten_and_registered_again_in_the_middle_starts_afresh(
    shop: Workshop, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    def come_back() -> None:
        shop.desk.forget.partner(partner_id)
        shop.desk.store.lift(user_subject(partner_id))
        shop.partners.register(partner_id, "Ann", None)

    with suppress(NotMine):
        follow(shop, partner_id, desk=meanwhile(shop, step, come_back))
    assert follow(shop, partner_id) == "done"
    assert get_partner(shop, partner_id).photo_file_id == telegram.world.file_id(partner_id, 320)


def test_a_forgotten_one_is_not_followed(shop: Workshop, partner_id: int, telegram: FakeTelegram) -> None:
    shop.desk.forget.partner(partner_id)
    with pytest.raises(NotMine):
        follow(shop, partner_id)
    assert not telegram.calls
    assert list_traces(shop.redis, partner_id) == []


def test_forgotten_at_any_moment_leaves_nothing(shop: Workshop, telegram: FakeTelegram) -> None:
    ids = [next_id() for _ in range(64)]
    for user_id in ids:
        telegram.world.add_user(user_id, "Ann", picture=TEAL)
        shop.partners.register(user_id, "Ann", None)
    telegram.latency = 0.002

    def follow_then_forget_another(number: int) -> None:
        """So many follow before one is forgotten, that some are in the middle."""
        with suppress(NotMine):
            follow(shop, ids[number])
        shop.desk.forget.partner(ids[(number + number % 16) % len(ids)])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(follow_then_forget_another, range(len(ids))))
        list(pool.map(shop.desk.forget.partner, ids))
    assert list_traces(shop.redis, *ids, *(telegram.world.file_id(user_id, 320) for user_id in ids)) == []
