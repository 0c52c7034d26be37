"""A hostile Telegram whose answers a test gives byte by byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import make_picture
from tests.support.servers import HttpStub, Pieces, reply
from tests.support.web_parts import new_file_id, new_id
from warmer.keys import Subject

Answer = Callable[[str], Pieces]  # from a method, or "download"
Say = Callable[[str, Pieces], None]  # sets the answer of one method; the others stay valid
Try = Callable[[str, Pieces], str]  # sets an answer, runs the task in a new worker and returns its outcome


def result(value: Any, *headers: str) -> list[bytes]:
    """Returns a successful answer of a method."""
    return reply(json.dumps({"ok": True, "result": value}).encode(), *headers)


class Host(HttpStub):
    """A server whose answer to each method a test gives."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: reply(status=404)
        super().__init__()
        self.name = f"127.0.0.1:{self.port}"

    def respond(self, line: str, _body: bytes) -> Pieces:
        path = urlsplit(line.partition(" ")[2]).path
        return self.answer("download" if path.startswith("/file/") else path.rpartition("/")[2])


PICTURE = make_picture()
FILE_ID = "AgACAgIAAxkBAAIBcGabcdefghijklmnopqrstuvwxyz0123456789"
SIZE = {"file_id": FILE_ID, "file_unique_id": "AQAD", "width": 320, "height": 320}
CHAT_PHOTO = {f"{size}_{name}": SIZE[name] for size in ("small", "big") for name in ("file_id", "file_unique_id")}
GOOD: dict[str, Pieces] = {
    "getMe": result({"first_name": "Bo", "username": "bo_bot"}),
    "getUserProfilePhotos": result({"total_count": 1, "photos": [[SIZE]]}),
    "getChat": result({"photo": CHAT_PHOTO}),
    "getFile": result({**SIZE, "file_path": "photos/file_1.jpg"}),
    "download": reply(PICTURE),
}
METHODS = ("getUserProfilePhotos", "getChat", "getFile", "download")  # the methods that tasks call
MEBI = 2**20


def run_subject(subject: str) -> str:
    """Run the task for this subject. Returns its outcome; raises errors that are not ours."""
    from warmer.worker.tasks import warm  # reads the environment of the tests

    return str(warm(subject, "warm"))


def run_task(method: str) -> str:
    """Run the task that calls this method. Returns its outcome."""
    subjects = {"getUserProfilePhotos": new_id(), "getChat": -new_id()}
    return run_subject(Subject.of_person(subjects[method]) if method in subjects else new_file_id())


def fails(outcome: str) -> bool:
    return outcome.startswith(("postponed", "unavailable"))
