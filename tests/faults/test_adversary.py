"""A hostile Telegram: no request goes to another host, and no malformed value is trusted or stored."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from faketelegram import TEST_TOKEN
from tests.support.adversary import (
    CHAT_PHOTO,
    FILE_ID,
    GOOD,
    MEBI,
    METHODS,
    PICTURE,
    SIZE,
    Host,
    Say,
    Try,
    fails,
    result,
    run_subject,
    run_task,
)
from tests.support.people import outdate
from tests.support.servers import reply
from tests.support.steps import is_ready
from tests.support.web_parts import new_id
from warmer.deadline import Deadline
from warmer.keys import Subject
from warmer.wiring import WorkerContext, get_worker_context


def test_pictures_and_the_bot_name_come_through_the_hostile_host_while_it_behaves(
    hostile_context: WorkerContext,
) -> None:
    assert [run_task(method) for method in ("getFile", "getUserProfilePhotos", "getChat")] == ["done"] * 3
    assert hostile_context.telegram.get_me(Deadline(5)).username == "bo_bot"


# Other hosts


def test_the_client_follows_no_redirect(attempt: Try, elsewhere: Host) -> None:
    places = (elsewhere.url, f"//{elsewhere.name}/x", f"http://u:p@{elsewhere.name}/", "http://[", "\ud800", "")
    rows = product(METHODS, (301, 302, 303, 307, 308), places)
    assert not [
        row
        for row in rows
        if not fails(attempt(row[0], reply(b"", f"Location: {row[2]}", f"Refresh: 0; url={row[2]}", status=row[1])))
    ]


LED_ASTRAY: list[Any] = [
    "http://{there}/x", "//{there}/x", "/\\{there}/x", "\\\\{there}\\x", "@{there}/x", ":x@{there}/x", ".{there}/x",
    "..\\..\\x", "\\..\\", "photos/../../x", "photos/..;/x", "%2e%2e/x", "photos/%252e%252e/x", "photos/a?b#c",
    "photos/a\r\nHost: {there}\r\n\r\nGET / HTTP/1.1", "photos/a\n", "photos/a\x00.jpg", "photos/a\tb",
    "photos/\uff0e\uff0e/x", "photos/\u2025/x", "photos/\u202egpj.x", "photos\u2215x", "photos/\ud800",
    "photos/" + "a" * 10_000, "{{token}}", "", 7, None, ["photos/a.jpg"], {"path": "photos/a.jpg"},
]  # fmt: skip


def test_the_client_does_not_request_a_path_that_could_lead_elsewhere(
    attempt: Try, telegram_host: Host, elsewhere: Host
) -> None:
    wrong = []
    for path in LED_ASTRAY:
        told, asked = path.format(there=elsewhere.name) if isinstance(path, str) else path, len(telegram_host.heads)
        outcome = attempt("getFile", result({**SIZE, "file_path": told}))
        if not fails(outcome) or len(telegram_host.heads) != asked + 1:
            wrong.append((path, outcome))
    assert wrong == []


ODD_FILE_IDS: list[Any] = [
    "AgAC.abcdefghijklmnopqrstu", "http://elsewhere/a.jpg", "AgAC/../abcdefghijklmnop", "..", "a" * 300, "",
    "AgACabcdefghijklmnopqrst\n", "AgACabcdefghijklmnopqrst\ud800", "АgАС" * 10, "AgAC abcdefghijklmnopq",
    7, None, ["a" * 30], {"file_id": FILE_ID}, True,
]  # fmt: skip


def test_the_client_does_not_request_a_malformed_file_id(attempt: Try, telegram_host: Host) -> None:
    wrong = []
    for method, file_id in product(("getUserProfilePhotos", "getChat"), ODD_FILE_IDS):
        photos = {"photos": [[{**SIZE, "file_id": file_id}]], "photo": {**CHAT_PHOTO, "big_file_id": file_id}}
        telegram_host.heads.clear()
        outcome = attempt(method, result(photos))
        if not fails(outcome) or [head for head in telegram_host.heads if "getFile" in head[0]]:
            wrong.append((method, file_id, outcome))
    assert wrong == []


def test_the_client_sends_no_cookie_back(say: Say, telegram_host: Host) -> None:
    for domain in ("", "; Domain=127.0.0.1; Path=/", "; Max-Age=99999"):
        say("download", reply(PICTURE, f"Set-Cookie: who=me{domain}"))
        assert run_task("getFile") == "done"
    assert len(telegram_host.heads) == 6
    assert "cookie:" not in str(telegram_host.heads).lower()


# Values


def test_malformed_photos_are_retried_and_the_shown_picture_stays(attempt: Try, say: Say) -> None:
    wrong, odd = [], list[Any]([None, "photos", [{}], [[SIZE, 7]]])
    for photos in odd:
        assert attempt("getMe", GOOD["getMe"]) == "done"  # a new worker, and a stored picture
        steps, user_id = get_worker_context().steps, new_id()
        assert run_subject(Subject.of_person(user_id)) == "done"
        outdate(get_worker_context().redis, get_worker_context().keys, user_id)
        say("getUserProfilePhotos", result({"total_count": 1, "photos": photos}))
        outcome = run_subject(Subject.of_person(user_id))
        if not outcome.startswith("postponed") or not is_ready(steps.store, FILE_ID):
            wrong.append((photos, outcome))
    assert wrong == []


def test_an_odd_integer_is_accepted_as_a_width(attempt: Try) -> None:
    answers = {width: result({"photos": [[{**SIZE, "width": width}, SIZE]]}) for width in (-1, 0, 10**400, True, 2**63)}
    assert not [width for width, answer in answers.items() if attempt("getUserProfilePhotos", answer) != "done"]


def test_a_malformed_unique_id_is_not_stored(attempt: Try) -> None:
    odd: list[Any] = [7, None, [], {}, "\ud800", "a b", "a" * 300, "a" * MEBI, TEST_TOKEN, "\x00"]
    wrong = []
    for method, unique_id in product(("getUserProfilePhotos", "getChat", "getFile"), odd):
        size = {**SIZE, "file_unique_id": unique_id}
        photo = {**CHAT_PHOTO, "big_file_unique_id": unique_id}
        told = {**size, "file_path": "photos/a.jpg", "photos": [[size]], "photo": photo}
        if not fails(attempt(method, result(told))):
            wrong.append((method, str(unique_id)[:30]))
    assert wrong == []


@pytest.mark.parametrize("name", ["Bo\n2026 CRITICAL x: y", "\ud800Bo", "B" * 999, 7, None, ["Bo"], "Bo\x1b[31m\u2028"])
def test_a_hostile_bot_name_is_cleaned_and_shortened(say: Say, hostile_context: WorkerContext, name: Any) -> None:
    say("getMe", result({"first_name": name, "username": name}))
    bot = hostile_context.telegram.get_me(Deadline(5))
    assert (bot.name, len(bot.name.encode()) <= 64) == (bot.username, True)
    assert not set(bot.name) & set("\n\x1b\u2028")
    assert bot.name.startswith("B") == isinstance(name, str)
