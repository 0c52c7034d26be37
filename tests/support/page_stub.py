"""A stub of the service for the page's tests: the real page and scripts with scripted answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from flask import Flask, Response, jsonify, render_template, request
from playwright.sync_api import Locator, Page, expect

from screenshots.serving import Quiet, serve
from tests.conftest import make_picture
from tests.support.waiting import DEADLINE_SECONDS, wait_until
from web.pages import static_files

PATIENCE_MS = 1000 * DEADLINE_SECONDS
WEB = Path(__file__).resolve().parents[2] / "web"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors https://web.telegram.org 'self'"
)
BLANK = """<!doctype html><html lang="en"><title>blank</title><link rel="icon" href="data:,">
<script type="module" src="/static/lazy-image.js"></script>"""
PREVIEW = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs="


@dataclass
class Answer:
    """One scripted answer: a picture, unless `json` is given. A `gate` delays it until it is set."""

    status: int = 200
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    picture: bytes = make_picture(160, 160)
    gate: threading.Event | None = None

    def response(self) -> Response:
        if self.gate:
            self.gate.wait(DEADLINE_SECONDS)
        response = jsonify(self.json) if self.json is not None else Response(self.picture, mimetype="image/jpeg")
        response.status_code = self.status
        response.headers.update({"Cache-Control": "no-store", **self.headers})
        if self.status >= 400 and self.json is not None:
            response.mimetype = "application/problem+json"
        return response


NOT_READY = Answer(503, picture=b"", headers={"Retry-After": "1"})
NO_PHOTO = Answer(404, picture=b"")


class PageStub:
    """Serves the page and its scripts, and at any other path the answers that a test has set."""

    url: str

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}  # by path, one per request; the last one stays
        self.calls: list[str] = []  # "GET /photo/ann"
        self.authorizations: list[str] = []
        self.context: dict[str, Any] = {}  # of the page's template
        self.gates: list[threading.Event] = []

    def gate(self) -> threading.Event:
        self.gates.append(threading.Event())
        return self.gates[-1]

    def reset(self) -> None:
        for gate in self.gates:
            gate.set()
        self.gates.clear()
        self.answers.clear()
        self.calls.clear()
        self.authorizations.clear()
        self.context = {"demo": False, "init_data": None, "bot": None, "may_look_up": False}

    def answer(self, path: str) -> Response:
        self.calls.append(f"{request.method} /{path}")
        self.authorizations.append(request.headers.get("Authorization", ""))
        script = self.answers.get(f"/{path}", [NO_PHOTO])
        # A HEAD asks about the GET before it: it gets the next answer, which stays for the next GET. A further HEAD
        # asks whether that has changed.
        is_repeated = [call for call in self.calls[:-1] if call.endswith(f" /{path}")][-1:] == [f"HEAD /{path}"]
        if len(script) > 1 and request.method == "HEAD" and is_repeated:
            script.pop(0)
        return (script[0] if request.method == "HEAD" or len(script) == 1 else script.pop(0)).response()

    def app(self) -> Flask:
        app = Flask("page_stub", static_folder=str(WEB / "static"), template_folder=str(WEB / "templates"))
        static_files.init_app(app)
        app.add_url_rule("/", "index", lambda: render_template("index.html", **self.context))
        app.add_url_rule("/blank", "blank", lambda: BLANK)
        app.add_url_rule("/<path:path>", "answer", self.answer, methods=["GET", "HEAD", "POST"])

        @app.after_request
        def protect(response: Response) -> Response:
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            return response

        return app


class Silent(Quiet):
    """Logs no requests, and lists the threads with an open connection."""

    handling: ClassVar[set[threading.Thread]] = set()

    def handle(self) -> None:
        self.handling.add(threading.current_thread())
        try:
            super().handle()
        finally:
            self.handling.discard(threading.current_thread())


def until(condition: Callable[[], object], what: str) -> None:
    try:
        wait_until(condition)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


def has_status(image: Locator, status: str) -> None:
    expect(image).to_have_attribute("status", status)


def stop_clock(page: Page) -> None:
    """From now on, only `page.clock.run_for` advances the page's time."""
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))


@contextmanager
def serving() -> Iterator[PageStub]:
    stub = PageStub()
    stub.reset()
    with serve(stub.app(), Silent) as stub.url:
        yield stub


def add(page: Page, **attributes: str) -> Locator:
    page.evaluate(
        """(attributes) => {
          const image = document.createElement('lazy-image');
          window.events = [];
          for (const type of ['statuschange', 'load', 'error'])
            image.addEventListener(type, (event) => window.events.push(event.detail?.status ?? type));
          for (const [name, value] of Object.entries(attributes)) image.setAttribute(name, value);
          document.body.append(image);
        }""",
        attributes,
    )
    return page.locator("lazy-image").last
