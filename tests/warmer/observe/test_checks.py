"""The checks that operators see: every state of every part, with a real Redis and its ACL."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.cli_parts import send_heartbeat
from tests.support.clock import Clock
from tests.support.redis_nodes import RedisServer
from tests.support.running import ROOT
from warmer.broker.publish import Publisher
from warmer.celery import app
from warmer.keys import Keys
from warmer.observe.checks import RIGHTS_SECONDS, STATES, Health, HealthChecks
from warmer.settings import Settings
from warmer.state.rights import list_denied
from warmer.state.schedule import Schedule
from warmer.wiring import WorkerContext

KEYS = Keys("123456")
KOMBU = ("&v2:123456:queue:/0.celery.pidbox", "&v2:123456:queue:/0.celeryev/*")  # patterns that Celery and Flower use
# The line of docs/operations.md.
RIGHTS = ("~v2:123456:*", "resetchannels", "&v2:123456:*", *KOMBU, "+@all", "-@admin", "-@dangerous", "+info")


class Server(RedisServer):
    """A Redis server with a user `avatars` whose rights a test chooses."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = Redis.from_url(self.url, username="avatars", password="password", socket_timeout=60)
        self.grant(*RIGHTS)

    def grant(self, *rules: str) -> None:
        self.client.execute_command("ACL", "SETUSER", "avatars", "reset", "on", ">password", *rules)

    def stand_still(self) -> None:
        """From now on nothing is answered; its user does not wait long for that."""
        self.user.connection_pool.disconnect()
        self.user.connection_pool.reset()  # its connections keep the timeout that they were made with
        self.user.connection_pool.connection_kwargs["socket_timeout"] = 0.2
        self.process.send_signal(signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        self.user.close()
        super().__exit__()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def checks(server: Server, clock: Clock, settings: Settings, redis: Redis) -> HealthChecks:
    """Of that server; the broker is that of the other tests."""
    publisher = Publisher(app, redis, KEYS, Schedule(redis, KEYS), settings)
    return HealthChecks(server.user, KEYS, publisher, clock)


def test_the_documented_line_grants_every_right(server: Server) -> None:
    assert list_denied(server.user, KEYS) == ()
    line = " ".join(RIGHTS).replace("123456", "<bot id>")
    assert line in (ROOT / "docs" / "operations.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (("resetchannels",), "&v2:123456:*"),
        (("-eval",), "+eval"),
        (("-evalsha",), "+evalsha"),
        (("-publish",), "+publish"),
        (("-subscribe",), "+subscribe"),
        (("-zadd",), "+zadd"),
        (("-hincrby",), "+hincrby"),
        (("resetkeys", "~v2:123456:*", "-expire"), "+expire"),
    ],
)
def test_a_missing_right_is_named_in_checks_and_log(
    server: Server, checks: HealthChecks, rules: tuple[str, ...], denied: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.grant(*RIGHTS, *rules)
    health = checks.take()
    assert (health.checks["redis"], health.denied, health.can_read) == ("denied", (denied,), True)
    checks.take()
    assert [record.levelname for record in caplog.records if denied in record.getMessage()] == ["CRITICAL"]


@pytest.mark.parametrize("rules", [("resetkeys",), ("-mget",)])
def test_a_user_that_may_not_read_is_denied(server: Server, checks: HealthChecks, rules: tuple[str, ...]) -> None:
    server.grant(*RIGHTS, *rules)
    health = checks.take()
    assert (health.checks["redis"], health.can_read) == ("denied", False)
    assert health.denied


def test_a_refused_password_is_denied(server: Server, checks: HealthChecks) -> None:
    server.grant(*RIGHTS, ">other", "<password")
    health = checks.take()
    assert (health.checks["redis"], health.denied, health.can_read) == ("denied", ("the login",), False)


def test_a_granted_or_withdrawn_right_shows_within_45_s(server: Server, checks: HealthChecks, clock: Clock) -> None:
    assert RIGHTS_SECONDS < 45
    for rules, state in (((), "ok"), (("resetchannels",), "denied"), ((), "ok")):
        server.grant(*RIGHTS, *rules)
        assert checks.take().checks["redis"] == state
        clock.sleep(RIGHTS_SECONDS)


def test_the_probes_leave_nothing_in_redis(server: Server) -> None:
    list_denied(server.user, KEYS)
    wait_until(lambda: server.client.dbsize() == 0)


def test_probes_that_may_not_be_removed_expire(server: Server) -> None:
    server.grant(*RIGHTS, "-hdel", "-lpop", "-rpop", "-srem", "-zrem")
    assert {"+hdel", "+lpop", "+rpop", "+srem", "+zrem"} <= {*list_denied(server.user, KEYS)}
    wait_until(lambda: server.client.dbsize() == 0)


def test_a_silent_redis_is_away_and_then_ok_again(server: Server, checks: HealthChecks, clock: Clock) -> None:
    server.stand_still()
    health = checks.take()
    assert (health.checks["redis"], health.can_read) == ("away", False)
    assert {health.checks[name] for name in ("worker", "beat", "bot")} == {"unknown"}
    server.process.send_signal(signal.SIGCONT)
    wait_until(lambda: checks.take().checks["redis"] == "ok")


def test_an_outage_is_noted_since_the_connection_was_lost_or_else_since_the_first_check(
    server: Server, clock: Clock, settings: Settings, redis: Redis
) -> None:
    wall = Clock(50_000)
    checks = HealthChecks(server.user, KEYS, Publisher(app, redis, KEYS, Schedule(redis, KEYS), settings), clock, wall)
    assert checks.take().noticed == {}
    checks.note_joined()
    checks.note_lost()
    wall.advance(10)
    checks.note_lost()  # it tries again and again
    server.stand_still()
    assert checks.take().noticed == {"redis": 50_000}
    wall.advance(10)
    assert checks.take().noticed == {"redis": 50_000}
    server.process.send_signal(signal.SIGCONT)
    checks.note_joined()
    wait_until(lambda: checks.take().noticed == {})
    server.stand_still()
    assert checks.take().noticed == {"redis": 50_020}
    server.process.send_signal(signal.SIGCONT)


def test_a_process_that_starts_during_an_outage_knows_no_beginning(
    server: Server, clock: Clock, settings: Settings, redis: Redis
) -> None:
    server.stand_still()
    checks = HealthChecks(server.user, KEYS, Publisher(app, redis, KEYS, Schedule(redis, KEYS), settings), clock)
    checks.note_lost()
    assert (checks.take().checks["redis"], checks.take().noticed) == ("away", {})
    server.process.send_signal(signal.SIGCONT)


def test_an_outage_between_two_checks_leaves_no_beginning_behind(
    server: Server, clock: Clock, settings: Settings, redis: Redis
) -> None:
    wall = Clock(50_000)
    checks = HealthChecks(server.user, KEYS, Publisher(app, redis, KEYS, Schedule(redis, KEYS), settings), clock, wall)
    checks.take()
    server.stand_still()
    assert checks.take().noticed == {"redis": 50_000}
    checks.note_joined()  # and no check before the next outage
    wall.advance(3600)
    assert checks.take().noticed == {"redis": 53_600}
    server.process.send_signal(signal.SIGCONT)


def test_a_page_that_anyone_may_load_makes_the_checks_once_a_second(checks: HealthChecks, clock: Clock) -> None:
    first = checks.take_recent()
    assert checks.take_recent() is first
    clock.advance(1)
    assert checks.take_recent() is not first


def test_a_full_redis_is_away_but_can_be_read(server: Server, checks: HealthChecks) -> None:
    server.client.config_set("maxmemory", 1)
    health = checks.take()
    assert (health.checks["redis"], health.can_read) == ("away", True)


@contextmanager
def failing_broker(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> Iterator[list[str]]:
    """The broker fails with this error. Yields a list that grows with every question."""
    asked: list[str] = []

    def fail(_: object, queue: str) -> int:
        asked.append(queue)
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr("warmer.broker.publish.count_waiting", fail)
        yield asked


def test_a_broker_that_fails_is_away_and_left_alone_for_a_second(
    checks: HealthChecks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing_broker(monkeypatch, ConnectionError()) as asked:
        assert [checks.take().checks["broker"] for _ in range(2)] == ["away", "away"]
        assert len(asked) == 1
    clock.sleep(1)
    assert checks.take().checks["broker"] == "ok"


def test_a_broker_that_refuses_the_login_is_denied(checks: HealthChecks, monkeypatch: pytest.MonkeyPatch) -> None:
    from amqp.exceptions import AccessRefused

    with failing_broker(monkeypatch, AccessRefused("ACCESS_REFUSED")):
        assert checks.take().checks["broker"] == "denied"


def test_workers_and_beat_are_checked_by_their_heartbeats(context: WorkerContext) -> None:
    take: Callable[[], Health] = context.health.take
    assert (take().checks["worker"], take().checks["beat"], take().checks["bot"]) == ("missing", "missing", "unknown")
    send_heartbeat(context)
    context.redis.set(context.keys.beat, "1")
    assert take().is_ok
    context.redis.zadd(context.keys.workers, {"lost": context.redis.time()[0] + 5})
    assert (take().checks["worker"], list(take().silent), take().is_ok) == ("fewer", ["lost"], False)


def test_a_call_that_fails_for_every_picture_makes_telegram_unreachable(context: WorkerContext) -> None:
    send_heartbeat(context)
    assert context.health.take().checks["bot"] == "ok"
    context.budget.begin_outage("download")
    context.budget.begin_outage("getChat")
    health = context.health.take()
    assert (health.checks["bot"], health.trouble.ill) == ("unreachable", ("getChat", "download"))
    context.budget.end_outage("getChat")
    assert context.health.take().trouble.ill == ("download",)
    context.budget.end_outage("download")
    assert context.health.take().checks["bot"] == "ok"


def test_a_call_that_no_job_has_made_for_a_minute_is_not_known_to_fail(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.budget.begin_outage("download")
    for seconds, state in ((50, "unreachable"), (70, "ok")):
        context.redis.hset(context.keys.budget, "probe_at:download", context.redis.time()[0] - seconds)
        assert context.health.take().checks["bot"] == state


def test_a_refused_bot_outweighs_a_call_that_fails(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "unauthorized")
    send_heartbeat(context)
    context.budget.begin_outage("download")
    assert context.health.take().checks["bot"] == "unauthorized"


def test_every_check_says_one_of_its_words(context: WorkerContext) -> None:
    checks: dict[str, Any] = context.health.take().checks
    assert list(checks) == list(STATES)
    assert all(word in STATES[name] for name, word in checks.items())
