"""Downloads of text, and pictures that are cut off, count against the picture once Telegram is known to be well."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.outages import add_pictures, list_ill, pass_time, warm
from warmer.errors import CutOff, NotAFile, Unreachable
from warmer.flow.retry import GROWS_AFTER, RETRIES
from warmer.photo import Unavailable
from warmer.wiring import WorkerContext

TRIES = RETRIES[NotAFile].max_tries or 0
TEXTS = [b"", b"hello", b"<html>" * 200, b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'{"ok": false}']


def warm_often(context: WorkerContext, *file_ids: str, times: int = TRIES) -> list[str]:
    """Returns how each attempt ended, the first one first."""
    kinds: list[str] = []
    for _ in range(times):
        kinds += [warm(context, file_id).kind for file_id in file_ids]
        pass_time(context, *file_ids)
    return kinds


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("text", TEXTS)
def test_a_file_of_text_is_given_up_while_a_good_picture_can_be_downloaded(
    context: WorkerContext, telegram: FakeTelegram, text: bytes
) -> None:
    file_id = telegram.world.add_file(text)
    assert warm_often(context, file_id) == [*["postponed"] * (TRIES - 1), "unavailable"]
    assert context.steps.store.get_unavailable(file_id) == Unavailable("gave-up")
    assert not list_ill(context)


@pytest.mark.usefixtures("good")
def test_a_file_of_text_that_is_kept_warm_is_downloaded_again_only_after_an_hour(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    context.people.register(42, "Ann", file_id := telegram.world.add_file(b"hello"))
    warm_often(context, file_id)
    assert list_next_runs(context)[file_id] > 3000


@pytest.mark.usefixtures("good")
def test_several_files_of_text_are_given_up_without_other_traffic(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_ids = [telegram.world.add_file(text) for text in TEXTS]
    assert warm_often(context, *file_ids)[-len(TEXTS) :] == ["unavailable"] * len(TEXTS)
    assert not list_ill(context)


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.usefixtures("good")
def test_text_for_every_download_counts_against_no_picture(
    context: WorkerContext, telegram: FakeTelegram, number: int
) -> None:
    file_ids = add_pictures(telegram)[-number:]
    telegram.fail("download", "blocked", times=None, status=200)
    assert set(warm_often(context, *file_ids, times=3 * TRIES)) == {"postponed"}
    assert list_ill(context) == ({"download"} if number > 1 else set())
    telegram.clear_faults()
    assert warm_often(context, *file_ids, times=1) == ["done"] * number


def test_text_counts_against_no_picture_while_no_good_one_is_known_but_its_pause_grows(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    context.people.register(42, "Ann", file_id := telegram.world.add_file(b"hello"))
    assert set(warm_often(context, file_id, times=GROWS_AFTER + 3)) == {"postponed"}
    assert warm(context, file_id).retry_seconds > 3 * RETRIES[Unreachable].pause_seconds


@pytest.mark.usefixtures("good")
def test_text_counts_against_no_picture_while_the_good_one_is_being_asked_for_or_calls_pause(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_id = telegram.world.add_file(b"hello")
    for result in ("asking", "unknown"):
        for _ in range(2 * TRIES):
            context.redis.set(context.keys.verdict("download"), result)
            assert warm(context, file_id).kind == "postponed"
            context.redis.delete(context.keys.backoff(file_id))
    assert not context.redis.exists(context.keys.failures(file_id), context.keys.retries(file_id))


@pytest.mark.usefixtures("good")
def test_a_picture_that_came_whole_in_between_was_never_ill(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_id = telegram.world.add_file(make_picture())
    telegram.fail("download", "blocked", times=TRIES - 1, status=200, file_id=file_id)
    assert warm_often(context, file_id)[-1] == "done"
    assert not context.redis.exists(context.keys.failures(file_id))


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_picture_that_is_cut_off_is_tried_again_before_it_is_given_up(
    context: WorkerContext, telegram: FakeTelegram, request: pytest.FixtureRequest, is_alone: bool
) -> None:
    if not is_alone:
        request.getfixturevalue("good")
    file_id, tries = telegram.world.add_file(make_picture(200, 200)), RETRIES[CutOff].max_tries or 0
    telegram.fail("download", "cut-body", times=None, file_id=file_id)
    assert warm_often(context, file_id, times=tries) == [*["postponed"] * (tries - 1), "unavailable"]


@pytest.mark.usefixtures("good")
def test_a_proxy_that_cuts_every_download_counts_against_no_picture(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("download", "cut-body", times=None)
    assert set(warm_often(context, *file_ids, times=2 * TRIES)) == {"postponed"}
    telegram.clear_faults()
    assert warm_often(context, *file_ids, times=1) == ["done"] * len(file_ids)


def test_a_whole_file_with_half_a_picture_in_it_is_no_picture_at_once(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_id = telegram.world.add_file(make_picture(200, 200)[:500])
    assert warm(context, file_id).kind == "unavailable"
    assert context.steps.store.get_unavailable(file_id) == Unavailable("not-an-image")
