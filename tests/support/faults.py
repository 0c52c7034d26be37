"""Tools of the fault tests: clients that repeat requests, processes by name, and figures."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import requests
from dotenv import dotenv_values
from redis import Redis

from faketelegram import FakeTelegram
from faketelegram.world import DRAWN, Drawn
from runner.ports import free_loopback_port
from tests.conftest import API_KEY, SIGNING_KEY, wait_until
from tests.support.running import BROWSER_ACCEPT, ROOT, Service, run_service
from warmer.keys import Keys
from warmer.photo_urls import sign

DEADLINE = 120.0  # seconds, for things that take a few
LEASE_DEADLINE = 300.0  # seconds, for things that return after a lease of 30 s
PATIENCE = 60.0  # seconds until a client gives up
Figure = Callable[[str, float], None]
_ids = count(8_000_000)


class Answer(NamedTuple):
    """A client's answer and the time of its request (monotonic). A status of 0 is a lost answer, `why` its reason."""

    at: float
    seconds: float
    status: int
    retry_after: str | None
    why: str = ""


Question = Callable[[requests.Session], Answer]


class Clients:
    """Clients that repeat their requests, each on its own connection, until the block ends."""

    def __init__(self, *questions: Question, number: int = 2, pause: float = 0.01) -> None:
        self.answers: list[Answer] = []
        self._questions, self._pause = questions, pause
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(first,)) for first in range(number)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def between(self, start: float, end: float) -> list[Answer]:
        """Returns the answers to requests that began and ended in this time (monotonic)."""
        return [answer for answer in self.answers if start <= answer.at and answer.at + answer.seconds < end]

    def without(self, *statuses: int) -> list[Answer]:
        """Returns the answers with any other status."""
        return [answer for answer in self.answers if answer.status not in statuses]

    def since(self, start: float) -> list[Answer]:
        """Returns the answers so far to requests since then (monotonic)."""
        return [answer for answer in list(self.answers) if answer.at >= start]

    def refused_since(self, start: float) -> list[Answer]:
        """Returns those of them with status 503."""
        return [answer for answer in self.since(start) if answer.status == 503]

    def check_served(self) -> None:
        """Check that every request was served. The service has to be PATIENT, or the answers come from memory."""
        assert self.answers
        refused = self.without(200)
        assert not refused, refused[:10]

    def _ask_on(self, number: int) -> None:
        with requests.Session() as session:
            while not self._done.wait(self._pause):
                self.answers.append(self._questions[number % len(self._questions)](session))
                number += 1


def ask(url: str, session: requests.Session | None = None, method: str = "GET", **options: Any) -> Answer:
    """Send one request with a long timeout."""
    started = time.monotonic()
    try:
        headers = {"Accept": BROWSER_ACCEPT, **options.pop("headers", {})}
        answer = (session or requests).request(method, url, headers=headers, timeout=PATIENCE, **options)
    except requests.RequestException as error:
        return Answer(started, time.monotonic() - started, 0, None, f"{method} {url}: {error!r}")
    return Answer(started, time.monotonic() - started, answer.status_code, answer.headers.get("Retry-After"))


def ask_despite_timeouts(send: Callable[[], Answer]) -> Answer:
    """Returns the first answer other than a 503, which asks for a repetition.

    Most stages have the timeouts of production: on a busy machine, a call of theirs to Redis may take longer.
    """
    answers: list[Answer] = []

    def is_served() -> bool:
        answers.append(send())
        assert answers[-1].status != 503 or answers[-1].retry_after, answers[-1]
        return answers[-1].status != 503

    wait_until(is_served, DEADLINE)
    return answers[-1]


def open_bystander(url: str, *paths: str) -> Clients:
    """An ordinary client beside hostile ones, with a new connection for each request."""
    return Clients(*(lambda _, path=path: ask(url + path) for path in paths), number=1, pause=0.1)


def let_pass(seconds: float) -> None:
    """Let a fault last this long."""
    time.sleep(seconds)


@contextmanager
def suspended(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Suspend these processes during the block."""
    held = list(processes)
    try:
        for process in held:
            process.suspend()
        wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in held), DEADLINE)
        yield
    finally:
        for process in held:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@dataclass(frozen=True)
class Stage:
    """A running service, its fake Telegram, and requests to the service."""

    service: Service
    fake: FakeTelegram

    def processes(self, *names: str) -> list[psutil.Process]:
        """Returns the processes of these Procfile lines, including their children."""
        supervisord = psutil.Process(int((self.service.data_dir / "run" / "supervisord.pid").read_text()))
        found: list[psutil.Process] = []
        for child in supervisord.children():
            with suppress(psutil.Error):  # it has just ended
                if child.environ().get("SUPERVISOR_PROCESS_NAME") in names:
                    found += [child, *child.children(recursive=True)]
        return found

    def list_faults(self) -> list[str]:
        """List the faults that the verdict of `/ops` tells, the one that hurts most first."""
        verdict = self.service.ask("GET", "/ops.json").json()["verdict"]
        return [fault for fault in (verdict["fault"], *(other["fault"] for other in verdict["others"])) if fault]

    def add_people(self, number: int, picture: bytes | Drawn = DRAWN) -> dict[int, str]:
        """Add people with drawn pictures or with this one. Returns their file ids by id."""
        ids = [next(_ids) for _ in range(number)]
        for user_id in ids:
            self.fake.world.add_user(user_id, f"Person {user_id}", picture=picture)
        return {user_id: self.fake.world.file_id(user_id, 320) for user_id in ids}

    def put(self, user_id: int, file_id: str | None = None, session: requests.Session | None = None) -> Answer:
        """Register a person."""
        body = {"name": f"Person {user_id}"} | ({"photo_file_id": file_id} if file_id else {})
        return self.ask(f"/api/partner/{user_id}", "PUT", session, json=body)

    def register(self, people: Mapping[int, str | None]) -> None:
        """Register all of these."""
        for user_id, file_id in people.items():
            answer = ask_despite_timeouts(partial(self.put, user_id, file_id))
            assert answer.status in (200, 201), answer

    def forget(self, user_id: int) -> None:
        """Forget this person."""
        answer = ask_despite_timeouts(lambda: self.ask(f"/api/partner/{user_id}", "DELETE"))
        assert answer.status == 204, answer

    def warm(self, number: int, within: float = LEASE_DEADLINE) -> dict[int, str]:
        """Add and register people. Returns their file ids by id when their pictures are ready."""
        people = self.add_people(number)
        self.register(people)
        wait_until(lambda: all(map(self.is_ready, people)), within)
        return people

    def keep_in_memory(self, file_id: str) -> str:
        """Let each web process read this stored picture into its memory: then a hit needs no Redis. Returns its id.

        While the other processes are suspended, one answers all requests.
        """
        _, *children = self.processes("web")
        for process in children:
            with suspended(other for other in children if other != process):
                answer = ask_despite_timeouts(lambda: self.get(file_id))
                assert answer.status == 200, answer
        return file_id

    def request_warming(self, file_ids: Sequence[str]) -> None:
        """Ask for these pictures, a hundred per request."""
        for start in range(0, len(file_ids), 100):
            body = {"photo_file_ids": file_ids[start : start + 100]}
            answer = ask_despite_timeouts(partial(self.ask, "/api/photos/warm", "POST", json=body))
            assert answer.status == 202, answer

    def is_ready(self, user_id: int) -> bool:
        """Returns True if this partner's picture is stored; the request warms no picture."""
        return self.state_of(user_id) == "ready"

    def is_stored(self, file_id: str) -> bool:
        """Returns True if this picture of anyone is stored in the service's Redis."""
        with self.connect() as redis:
            return bool(redis.exists(Keys(str(self.fake.world.bot_id)).variant(file_id, 160, "webp")))

    def state_of(self, user_id: int) -> str | None:
        """Returns the `photo_status` of a partner. Returns None if the service cannot tell."""
        answer = self.service.ask("GET", f"/api/partner/{user_id}").json()
        return answer.get("photo_status") if isinstance(answer, dict) else None

    def url(self, file_id: str, size: int = 160) -> str:
        """Returns the signed URL of this picture."""
        return f"{self.service.url}/api/photos/file/{file_id}?size={size}&sig={sign(SIGNING_KEY, f'file:{file_id}')}"

    def get(self, file_id: str, session: requests.Session | None = None) -> Answer:
        return ask(self.url(file_id), session)

    def get_when_warm(self, file_id: str) -> Answer:
        """Request a cold picture until it is warm: a busy machine may need longer for it than PHOTO_WAIT."""
        return ask_despite_timeouts(lambda: self.get(file_id))

    def ask(self, path: str, method: str = "GET", session: requests.Session | None = None, **options: Any) -> Answer:
        """Send a request with the API key."""
        return ask(self.service.url + path, session, method, headers=self.service.as_server, **options)

    def connect(self) -> Redis:
        """Returns a client of the service's Redis."""
        made = dotenv_values(self.service.data_dir / "running.env")
        return Redis.from_url(self.service.environment.get("REDIS_URL") or str(made["REDIS_URL"]))

    def count_hits(self) -> float:
        """Returns the hits of all web processes, also of ended ones, from /metrics."""
        found = re.search(r'avatar_photos_total\{result="hit"\} (\S+)', self.service.ask("GET", "/metrics").text)
        return float(found[1]) if found else 0.0

    def log(self, name: str) -> str:
        return (self.service.data_dir / "logs" / f"{name}.log").read_text(errors="replace")


def count_picture_calls(fake: FakeTelegram) -> dict[str, int]:
    """Returns calls by method since the last reset, without getMe, which workers call on their own."""
    return {method: number for method, number in fake.calls.items() if method != "getMe"}


@contextmanager
def run_stage(folder: Path, **settings: str) -> Iterator[Stage]:
    """Run the whole service with its own fake Telegram, which takes 20 ms per call."""
    with FakeTelegram(port=free_loopback_port(), latency=0.02) as fake, run_stage_at(fake, folder, **settings) as stage:
        yield stage


@contextmanager
def run_stage_at(
    telegram: FakeTelegram, folder: Path, workers: int = 2, root: Path = ROOT, /, **settings: str
) -> Iterator[Stage]:
    """Run the whole service with this fake Telegram; `workers` counts all that it sees, including other hosts'."""
    given = {
        "TELEGRAM_BOT_TOKEN": telegram.token,
        "TELEGRAM_API_URL": telegram.url,
        "TELEGRAM_RATE": "200",
        "API_KEYS": API_KEY,
        "URL_SIGNING_KEYS": SIGNING_KEY,
        **settings,
    }
    with run_service(folder, root, **given) as service:
        wait_until(lambda: f"avatar_workers {workers}.0" in service.ask("GET", "/metrics").text, DEADLINE)
        yield Stage(service, telegram)
