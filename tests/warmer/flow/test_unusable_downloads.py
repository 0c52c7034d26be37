"""Downloads of text, and pictures that are cut off, count against the picture once Telegram is known to be well."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture
from tests.support.clock import Clock
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.attempts import run
from tests.warmer.flow.outages import add_pictures, list_ill, pass_time, warm
from warmer.errors import TemporarilyUnavailable, Unreachable, Unusable, UpstreamFailed
from warmer.flow.cross_check import CrossCheck
from warmer.flow.retry import GROWS_AFTER, RETRIES
from warmer.images.headers import lacks_end
from warmer.keys import VERDICT_SECONDS, Subject
from warmer.photo import Unavailable
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.wiring import WorkerContext, open_worker_context

TRIES = RETRIES[Unusable].max_tries or 0
FAULTS: list[dict[str, Any]] = [{"fault": "blocked", "status": 200}, {"fault": "cut-body"}]
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


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_every_download_counts_against_no_picture(
    context: WorkerContext,
    telegram: FakeTelegram,
    request: pytest.FixtureRequest,
    fault: dict[str, Any],
    number: int,
    is_alone: bool,
) -> None:
    if not is_alone:
        request.getfixturevalue("good")
    file_ids = add_pictures(telegram)[-number:]
    telegram.fail("download", **fault, times=None)
    assert set(warm_often(context, *file_ids, times=3 * TRIES)) == {"postponed"}
    assert list_ill(context) == ({"download"} if number > 1 else set())
    telegram.clear_faults()
    assert warm_often(context, *file_ids, times=1) == ["done"] * number


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_answers_no_probe(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: dict[str, Any]
) -> None:
    context.budget.begin_outage("download")
    telegram.fail("download", **fault, times=None)
    for file_id in file_ids:
        warm_often(context, file_id, times=1)
        assert list_ill(context) == {"download"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_counts_against_no_picture_while_no_good_one_is_known_but_its_pause_grows(
    context: WorkerContext, telegram: FakeTelegram, fault: dict[str, Any]
) -> None:
    context.people.register(42, "Ann", file_id := telegram.world.add_file(make_picture()))
    telegram.fail("download", **fault, times=None)
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


@pytest.mark.usefixtures("good")
def test_a_picture_that_is_cut_off_is_tried_again_before_it_is_given_up(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_id = telegram.world.add_file(make_picture(200, 200))
    telegram.fail("download", "cut-body", times=None, file_id=file_id)
    assert warm_often(context, file_id) == [*["postponed"] * (TRIES - 1), "unavailable"]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_another_process_can_download_says_nothing_about_the_way_of_this_one(
    context: WorkerContext, settings: Settings, telegram: FakeTelegram, fault: dict[str, Any]
) -> None:
    file_id = telegram.world.add_file(make_picture())
    with closing(open_worker_context(settings, connect_worker(settings))) as another:
        assert another.steps.attempts.cross_check.check("download") == "well"
        telegram.fail("download", **fault, times=None)
        for _ in range(2 * TRIES):
            assert warm(context, file_id).kind == "postponed"
            context.redis.delete(context.keys.backoff(file_id))
            another.steps.attempts.outage.note_verdict("download", "well")
    assert not context.redis.exists(context.keys.failures(file_id))


@pytest.mark.usefixtures("good")
def test_what_this_process_could_download_is_believed_for_a_moment(context: WorkerContext) -> None:
    known, clock = context.steps.attempts.cross_check, Clock()
    check = CrossCheck(known.telegram, known.budget, known.outage, known.people, known.store, lacks_end, clock=clock)
    assert check.check("download", must_be_own=True) == "well"
    known.outage.note_verdict("download", "well")
    assert check.check("download", must_be_own=True) == "well"
    clock.advance(VERDICT_SECONDS)
    known.outage.note_verdict("download", "well")
    assert check.check("download", must_be_own=True) == "unknown"
    assert check.check("download") == "well"


@pytest.mark.usefixtures("good")
def test_a_good_picture_that_comes_no_more_ends_the_row(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_id = telegram.world.add_file(b"hello")
    warm_often(context, file_id, times=TRIES - 1)
    telegram.fail("download", "cut-body", times=None)
    warm_often(context, file_id, times=1)
    telegram.clear_faults()
    assert warm_often(context, file_id) == [*["postponed"] * (TRIES - 1), "unavailable"]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("before", [UpstreamFailed, TemporarilyUnavailable])
def test_only_unusable_downloads_in_a_row_give_a_picture_up(
    context: WorkerContext, telegram: FakeTelegram, before: type[UpstreamFailed]
) -> None:
    file_id = Subject(telegram.world.add_file(b"hello"))
    for _ in range(TRIES - 1):
        assert run(context, before("m"), file_id).kind == "postponed"
    pass_time(context, file_id)
    assert warm_often(context, file_id) == [*["postponed"] * (TRIES - 1), "unavailable"]


def test_a_whole_file_with_half_a_picture_in_it_is_no_picture_at_once(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_id = telegram.world.add_file(make_picture(200, 200)[:500])
    assert warm(context, file_id).kind == "unavailable"
    assert context.steps.store.get_unavailable(file_id) == Unavailable("not-an-image")
