"""A hostile Telegram whose answers a test gives byte by byte, and another server that counts its connections."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import make_picture
from tests.support.web_parts import new_file_id, new_id
from warmer.keys import Subject

Pieces = Iterable[bytes]  # of one answer, in order
Answer = Callable[[str], Pieces]  # from a method, or "download"
Say = Callable[[str, Pieces], None]  # sets the answer of one method; the others stay valid
Try = Callable[[str, Pieces], str]  # sets an answer, runs the task in a new worker and returns its outcome


def reply(body: bytes = b"", *headers: str, status: int = 200, has_length: bool = True) -> list[bytes]:
    """Returns one whole answer; without a length it ends with the connection."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] if has_length else []
    return [("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogatepass"), body]


def result(value: Any, *headers: str) -> list[bytes]:
    """Returns a successful answer of a method."""
    return reply(json.dumps({"ok": True, "result": value}).encode(), *headers)


class _Handler(StreamRequestHandler):
    server: Host

    def handle(self) -> None:
        head = []
        while (line := self.rfile.readline(100_000)).strip():
            head.append(line.decode("latin-1").strip())
        if not head:
            return
        self.server.heads.append(head)
        path = urlsplit(head[0].split(" ")[1]).path
        method = "download" if path.startswith("/file/") else path.rpartition("/")[2]
        with contextlib.suppress(OSError):  # the client closed the connection
            for piece in self.server.answer(method):
                self.wfile.write(piece)


class Host(ThreadingTCPServer):
    """A server on loopback. `connections` counts its clients, `heads` lists their request heads."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections = 0
        self.heads: list[list[str]] = []
        self.answer: Answer = lambda _: reply(status=404)
        self.name = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.name}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


@contextlib.contextmanager
def serve() -> Iterator[Host]:
    """Run a host in this block."""
    with Host() as host:
        listening = threading.Thread(target=host.serve_forever, args=(0.02,), daemon=True)
        listening.start()
        try:
            yield host
        finally:
            host.shutdown()
            listening.join()


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
