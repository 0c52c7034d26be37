"""Operators see what is lost, by name, while the service runs: a right in Redis, workers, beat, the bot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.cli_parts import COMMAND
from tests.support.faults import DEADLINE, Stage, run_stage_at, suspended
from tests.support.redis_nodes import Node
from tests.support.running import PATIENT
from tests.warmer.observe.test_checks import RIGHTS

Grant = Callable[..., None]
OK = {"redis": "ok", "broker": "ok", "worker": "ok", "beat": "ok", "bot": "ok"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("acl")) as node:
        yield node


@pytest.fixture(scope="module")
def telegram_of_stage() -> Iterator[FakeTelegram]:
    with FakeTelegram(latency=0.02) as fake:
        yield fake


@pytest.fixture(scope="module")
def grant(node: Node, telegram_of_stage: FakeTelegram) -> Grant:
    """Gives the service's user the rights of docs/operations.md, and these besides."""
    rights = [rule.replace("123456", str(telegram_of_stage.world.bot_id)) for rule in RIGHTS]

    def set_rights(*more: str) -> None:
        node.client.execute_command("ACL", "SETUSER", "avatars", "reset", "on", ">password", *rights, *more)

    set_rights()
    return set_rights


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, node: Node, telegram_of_stage: FakeTelegram, grant: Grant
) -> Iterator[Stage]:
    url = f"redis://avatars:password@127.0.0.1:{node.port}/0"
    with run_stage_at(telegram_of_stage, tmp_path_factory.mktemp("checks"), REDIS_URL=url, **PATIENT) as stage:
        yield stage


def read_checks(stage: Stage) -> dict[str, str]:
    return dict(stage.service.ask("GET", "/readyz").json()["checks"])


def wait_for(stage: Stage, **states: str) -> None:
    """Wait until these checks have these states, and all others are ok."""
    wait_until(lambda: read_checks(stage) == OK | states, DEADLINE)


def test_the_documented_user_of_redis_suffices_for_the_whole_service(stage: Stage) -> None:
    wait_for(stage)
    (user_id,) = stage.warm(1)
    stage.forget(user_id)


def test_a_missing_right_is_named_at_the_start_and_while_hits_continue(stage: Stage, grant: Grant) -> None:
    (file_id,) = stage.warm(1).values()
    channels = f"&v2:{stage.fake.world.bot_id}:*"
    grant("resetchannels")
    try:
        wait_until(lambda: read_checks(stage)["redis"] == "denied", DEADLINE)
        assert stage.get(file_id).status == 200
        wait_until(lambda: channels in stage.log("web"), DEADLINE)  # supervisord writes it
        before = len(stage.log("worker2"))
        for process in stage.processes("worker2"):
            process.kill()
        wait_until(lambda: channels in stage.log("worker2")[before:], DEADLINE)  # named at its start
    finally:
        grant()
    wait_for(stage)


def test_a_channel_that_the_workers_may_not_subscribe_to_is_named(stage: Stage, grant: Grant) -> None:
    channels = f"&v2:{stage.fake.world.bot_id}:"
    grant("resetchannels", f"{channels}*")
    try:
        wait_for(stage, broker="denied")
        wait_until(lambda: stage.list_faults() == ["RightsMissing"], DEADLINE)
        wait_until(lambda: f"{channels}queue:/0.celery.pidbox" in stage.log("web"), DEADLINE)
    finally:
        grant()
    wait_for(stage)


def test_lost_workers_and_beat_are_named_and_come_back(stage: Stage) -> None:
    wait_for(stage)
    with suspended(stage.processes("beat")):
        wait_for(stage, beat="missing")
        wait_until(lambda: stage.list_faults() == ["BeatMissing"], DEADLINE)
        with suspended(stage.processes("worker2")):
            wait_for(stage, beat="missing", worker="fewer")
            wait_until(lambda: stage.list_faults() == ["BeatMissing", "WorkersFewer"], DEADLINE)
    with suspended(stage.processes("worker", "worker2")):
        wait_for(stage, worker="missing", bot="unknown")
        wait_until(lambda: stage.list_faults()[:1] == ["WorkersGone"], DEADLINE)
    wait_for(stage)


@pytest.mark.parametrize(
    ("fault", "state"), [("unauthorized", "unauthorized"), ("logged-out", "logged_out"), ("bad-gateway", "unreachable")]
)
def test_a_lost_bot_is_named_although_no_picture_is_fetched(stage: Stage, fault: str, state: str) -> None:
    wait_for(stage)
    stage.fake.fail("getMe", fault, times=None)
    try:
        wait_for(stage, bot=state)
        told = "TelegramUnreachable" if state == "unreachable" else "TokenRefused"
        wait_until(lambda: stage.list_faults()[:1] == [told], DEADLINE)
    finally:
        stage.fake.clear_faults()
    wait_for(stage)


def diagnose(stage: Stage) -> tuple[int, str]:
    """Returns the exit status, and the fault that the command names."""
    command = [str(COMMAND), "diagnose", "--json", "--partners", "1"]
    done = subprocess.run(command, env=stage.service.environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)["verdict"]["fault"]


def test_diagnose_tells_that_the_web_tier_hangs_and_that_it_is_back(stage: Stage) -> None:
    wait_for(stage)
    with suspended(stage.processes("web")):
        assert diagnose(stage) == (1, "ServiceDown")
    wait_until(lambda: diagnose(stage)[1] != "ServiceDown", DEADLINE)
