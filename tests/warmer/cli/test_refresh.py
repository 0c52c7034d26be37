"""`avatar-warmer refresh`"""

from __future__ import annotations

from pathlib import Path

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.cli_parts import answer, call, fail, send_heartbeat
from warmer.cli.refresh import BulkRefreshing
from warmer.cli.rows import Row
from warmer.keys import REFRESHED_SECONDS, Subject
from warmer.photo import PhotoSize
from warmer.wiring import WorkerContext

FILE_ID = "AgACAgIAAxkBAAIB0001"


def is_wanted(context: WorkerContext, user_id: int) -> bool:
    return bool(context.steps.refreshes.list_wanted([Subject.of_person(user_id)]))


def end_look_up(context: WorkerContext, user_id: int) -> None:
    """As if a worker had looked the profile up and found no photo."""
    subject = Subject.of_person(user_id)
    context.redis.delete(context.keys.refresh(subject))
    context.redis.set(context.keys.unavailable(subject), "none")


@pytest.mark.usefixtures("live_worker")
def test_a_changed_picture_is_shown_when_the_command_ends(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture())
    assert answer("warm", "--json", str(user_id))["ready"] == 1
    telegram.world.change_photo(user_id, make_picture(color="red"))
    assert call("refresh", str(user_id)).stdout == "1 row: 1 ready, 0 unavailable, 0 none.\n"
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)
    telegram.world.hide_photo(user_id)
    context.redis.delete(context.keys.refreshed(Subject.of_person(user_id)))  # a minute later
    assert answer("refresh", "--json", str(user_id))["none"] == 1


def test_without_waiting_the_look_ups_are_asked_for(context: WorkerContext) -> None:
    user_id, group = next_id(), -next_id()
    assert call("refresh", "--no-wait", "--", str(user_id), str(group)).stdout == "2 rows: asked for.\n"
    assert (is_wanted(context, user_id), is_wanted(context, group)) == (True, True)
    assert context.publisher.count_waiting("warm") == 2


def test_the_ids_of_a_file_for_warm_are_refreshed_and_nobody_is_registered(
    context: WorkerContext, tmp_path: Path
) -> None:
    ann, bob = next_id(), next_id()
    (tmp_path / "users.csv").write_text(f"id,name,photo_file_id\n{ann},Ann,\n{bob},Bob,{FILE_ID}\n{ann},Ann,\n")
    assert answer("refresh", "--no-wait", "--json", "--from-file", str(tmp_path / "users.csv"))["rows"] == 3
    assert (is_wanted(context, ann), is_wanted(context, bob)) == (True, True)
    assert context.publisher.count_waiting("warm") == 2
    assert context.people.list_recent_ids(5) == []
    assert answer("refresh", "--no-wait", "--json", "-", given=f"{ann}\n")["rows"] == 1


def test_a_file_id_is_refused_and_nothing_is_done(context: WorkerContext) -> None:
    status, line = fail("refresh", str(next_id()), FILE_ID)
    assert (status, line) == (2, f"Error: nothing was done: '{FILE_ID}' is no id")
    assert context.redis.dbsize() == 0


def test_a_row_is_settled_when_its_look_up_has_an_outcome(context: WorkerContext) -> None:
    known, user_id = next_id(), next_id()
    context.redis.set(context.keys.unavailable(Subject.of_person(known)), "none")
    bulk = BulkRefreshing(context, sleep=lambda _: None)
    progress = bulk.warm([Row(one, "", None) for one in (known, user_id)])
    assert [next(progress) for _ in range(3)] == [0] * 3  # that one has no photo is what the look-up may change
    end_look_up(context, known)
    assert next(progress) == 1
    end_look_up(context, user_id)
    assert list(progress)[-1] == bulk.counts["none"] == 2


def test_a_row_is_not_settled_before_its_new_picture_is_shown(context: WorkerContext) -> None:
    subject = Subject.of_person(user_id := next_id())
    person = context.people.note_look_up(context.people.get(user_id), old := PhotoSize(FILE_ID, "u", 320))
    assert person
    context.people.show(person, old)
    context.redis.set(context.keys.unavailable(FILE_ID), "none")  # it need not be fetched
    bulk = BulkRefreshing(context, sleep=lambda _: None)
    progress = bulk.warm([Row(user_id, "", None)])
    assert next(progress) == 0
    new = PhotoSize(FILE_ID + "new", "v", 320)
    context.people.note_look_up(context.people.get(user_id), new)
    context.redis.delete(context.keys.refresh(subject))
    assert [next(progress), next(progress)] == [0, 0]
    context.people.show(context.people.get(user_id), new)
    context.redis.set(context.keys.unavailable(new.file_id), "none")
    assert list(progress)[-1] == 1


def test_a_refresh_within_a_minute_of_another_waits_for_its_end(context: WorkerContext) -> None:
    context.redis.set(context.keys.refreshed(Subject.of_person(user_id := next_id())), "1", ex=REFRESHED_SECONDS)
    bulk = BulkRefreshing(context, sleep=lambda _: None)
    progress = bulk.warm([Row(user_id, "", None)])
    assert [next(progress), next(progress)] == [0, 0]
    assert context.redis.zscore(context.keys.schedule, Subject.of_person(user_id))
    end_look_up(context, user_id)
    assert list(progress)[-1] == 1


def test_pinned_and_forgotten_ids_are_settled_at_once(context: WorkerContext) -> None:
    pinned, forgotten = next_id(), next_id()
    context.people.register(pinned, "Ann", FILE_ID)
    context.redis.set(context.keys.unavailable(FILE_ID), "none")
    context.steps.forget.person(forgotten)
    bulk = BulkRefreshing(context)
    assert next(bulk.warm([Row(one, "", None) for one in (pinned, forgotten)])) == 2
    assert bulk.counts["none"] == 2
    assert context.steps.store.get_unavailable(Subject.of_person(forgotten))


def test_an_unreachable_broker_causes_one_line(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise ConnectionError

    send_heartbeat(context)
    monkeypatch.setattr("warmer.broker.publish.count_waiting", refuse)
    status, line = fail("refresh", str(next_id()))
    assert (status, line.endswith(": 0 of 1 row settled, repeat the command to go on")) == (1, True)
