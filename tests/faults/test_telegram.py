"""Telegram refuses, hangs, drips, breaks off, fails and asks for pauses: every photo is stored in the end."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.conftest import wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Clients, Figure, Stage, let_pass
from tests.support.running import PATIENT
from warmer.state.budget import PROBE_SECONDS

SETTINGS = PATIENT
PAUSE_SECONDS = 25
OUTAGE_SECONDS = 25.0
DRIP_SECONDS = 0.5  # per byte: the whole answer would take minutes
IN_FLIGHT_SECONDS = 15  # until the busiest worker has read the 429 and all others know of it
BOTH_FAIL = ["connection-reset", "hang", "slow-headers", "slow-body", "truncated-body", "bad-gateway", "internal-error"]
FAULTS = [(method, fault) for fault in (*BOTH_FAIL, "temporarily-unavailable") for method in ("getFile", "download")]
FAULTS += [
    ("getFile", "not-json"),
    ("download", "not-an-image"),
    ("download", "path-expired"),
    ("getFile", "no-file-path"),
]


def task_seconds(stage: Stage) -> list[float]:
    """Returns the duration of every finished warming."""
    lines = stage.log("worker") + stage.log("worker2")
    return [int(milliseconds) / 1000 for milliseconds in re.findall(r"warmer\.worker\.tasks: .* in (\d+)ms", lines)]


def test_every_photo_is_stored_despite_19_kinds_of_failure_and_hits_continue(stage: Stage, figure: Figure) -> None:
    (hot,) = stage.warm(1).values()
    people = stage.add_people(len(FAULTS))
    for (method, fault), file_id in zip(FAULTS, people.values(), strict=True):
        options: dict[str, Any] = {"interval": DRIP_SECONDS} if fault.startswith("slow") else {}
        stage.fake.fail(method, fault, file_id=file_id, **options)
    lasting = {file_id for (_, fault), file_id in zip(FAULTS, people.values(), strict=True) if fault == "not-an-image"}
    with Clients(lambda session: stage.get(hot, session), number=1) as clients:
        started = time.monotonic()
        for user_id, file_id in people.items():
            stage.put(user_id, file_id)
        passing = [user_id for user_id, file_id in people.items() if file_id not in lasting]
        wait_until(lambda: all(map(stage.is_ready, passing)), LEASE_DEADLINE)
        figure("Telegram fails in 19 ways: every photo is stored", time.monotonic() - started)
        wait_until(lambda: stage.fake.traffic.in_flight == 0, DEADLINE)
    clients.check_served()
    failing = people.keys() - passing
    wait_until(lambda: {stage.state_of(user_id) for user_id in failing} == {"unavailable"}, DEADLINE)
    figure("Telegram hangs and drips: the longest time a thread was blocked", max(task_seconds(stage)))


def test_no_worker_calls_during_a_pause(stage: Stage, figure: Figure) -> None:
    (hot,) = stage.warm(1).values()
    people = stage.add_people(40)
    paused_by = next(iter(people.values()))
    stage.fake.fail("getFile", "too-many-requests", file_id=paused_by, retry_after=PAUSE_SECONDS)
    stage.fake.traffic.reset()
    with Clients(lambda session: stage.get(hot, session), number=1) as clients:
        for user_id, file_id in people.items():
            stage.put(user_id, file_id)
        wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)
    clients.check_served()
    refused_at = next(at for at, _, said in stage.fake.log if paused_by in str(said))
    began = [at - refused_at for at, _, _ in stage.fake.log]
    during = [at for at in began if IN_FLIGHT_SECONDS < at < PAUSE_SECONDS]
    figure("429 with 25 s: calls that began later than 15 s after it", len(during))
    assert during == []
    figure("429 with 25 s: every photo is stored", time.monotonic() - refused_at)


def test_photos_registered_during_a_telegram_outage_are_stored_afterwards(stage: Stage, figure: Figure) -> None:
    (hot,) = stage.warm(1).values()
    people = stage.add_people(10)
    with Clients(lambda session: stage.get(hot, session), number=1) as clients:
        stage.fake.stop()
        stage.register(people)
        let_pass(5)
        stage.fake.start()
        back_at = time.monotonic()
        wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)
        figure("Telegram refused connections for 5 s: every photo is stored", time.monotonic() - back_at)
    clients.check_served()


def test_in_an_outage_clients_get_503_and_telegram_gets_one_probe_at_a_time(stage: Stage, figure: Figure) -> None:
    people = stage.add_people(30)
    for method in ("getFile", "getUserProfilePhotos", "getChat"):
        stage.fake.fail(method, "bad-gateway", times=None)
    stage.register(people)
    wait_until(lambda: "Telegram is unreachable" in stage.log("worker") + stage.log("worker2"), DEADLINE)
    began, statuses = time.monotonic(), set()
    while (now := time.monotonic()) < began + OUTAGE_SECONDS:
        statuses.add(stage.get(next(iter(people.values()))).status)
    asked = [said.get("file_id") for at, _, said in stage.fake.log if began + IN_FLIGHT_SECONDS < at < now]
    stage.fake.clear_faults()
    wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)
    figure("Telegram answers 502: after that, every photo is stored", time.monotonic() - now)
    assert statuses == {503}
    probes = sum(map(asked.count, people.values()))
    checks = len([file_id for file_id in asked if file_id]) - probes  # of a good picture
    assert max(probes, checks) <= (now - began - IN_FLIGHT_SECONDS) / PROBE_SECONDS + 2
