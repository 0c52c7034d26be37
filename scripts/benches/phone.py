"""A phone that opens the app: the list, then its first four pictures on four keep-alive connections."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
from redis import Redis

from benches.clients import Client, ask_all
from benches.rivals import Rival
from benches.service import NAME, Service
from warmer.flow.forget import wait_for_acknowledgements
from warmer.state.people import People

PARTNERS = 20
SHOWN = 4


@dataclass(frozen=True)
class App:
    """A server with a list of partners and their pictures."""

    name: str
    port: int
    headers: dict[str, str]
    list_path: str
    path_of: Callable[[str], str]  # file id → the path of its picture
    show: Callable[[Sequence[str]], None]  # gives the newest partners these pictures, and warms none
    warm: Callable[[Sequence[str]], object]  # these, and waits for them
    processes: list[psutil.Process]


TTL_SECONDS = 604_800


class Phone:
    """Four connections with one request at a time on each."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.clients = [Client(app.port, app.headers) for _ in range(SHOWN)]

    def open_app(self) -> float:
        """Milliseconds from the start to the last byte of the fourth picture."""
        started = time.perf_counter()
        partners = json.loads(self.clients[0].get(self.app.list_path))["partners"]
        for client, partner in zip(self.clients, partners[:SHOWN], strict=True):
            client.send(partner["photo_url"])
        for client in self.clients:
            client.receive()
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        for client in self.clients:
            client.close()


def app_of_service(service: Service, file_ids: Sequence[str]) -> App:
    """This service with these pictures, newest first."""
    directory = People(service.redis, service.keys, keep=PARTNERS, ttl_seconds=TTL_SECONDS, check_seconds=TTL_SECONDS)

    def show(file_ids: Sequence[str]) -> None:
        made = [  # the order is that of the first registration
            directory.register(PARTNERS - age, _name(age), file_id)
            for age, file_id in reversed(list(enumerate(file_ids)))
        ]
        if any(one.outdates_lists for one in made):
            wait_for_acknowledgements(service.redis, service.keys)  # no process shows an older list then

    show(file_ids)
    path = f"/api/partner/recent?limit={PARTNERS}"
    bed, processes = service.testbed, [service.web, *service.workers]
    return App(NAME, service.port, bed.headers, path, bed.path_of, show, service.warm, processes)


def app_of_original(rival: Rival, redis: Redis, file_ids: Sequence[str]) -> App:
    """One of the original's designs; the two share their list in Redis."""

    def show(file_ids: Sequence[str]) -> None:
        for age, file_id in enumerate(file_ids):
            redis.lset("partners", age, _record(age, file_id))

    redis.delete("partners")
    redis.rpush("partners", *(_record(age, file_id) for age, file_id in enumerate(file_ids)))
    path = f"/recent?limit={PARTNERS}"

    def warm(file_ids: Sequence[str]) -> None:
        ask_all(rival.port, list(map(rival.path_of, file_ids)), clients=SHOWN)

    return App(rival.name, rival.port, {}, path, rival.path_of, show, warm, [rival.process])


def _record(age: int, file_id: str) -> str:
    return json.dumps({"id": PARTNERS - age, "name": _name(age), "file_id": file_id})


def _name(age: int) -> str:
    return f"Partner {PARTNERS - age}"
