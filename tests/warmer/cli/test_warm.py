"""`avatar-warmer warm`"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from io import StringIO
from pathlib import Path
from subprocess import Popen

import pytest
from rich.console import Console

from faketelegram import FakeTelegram
from tests.conftest import next_id, wait_until
from tests.support.cli_parts import answer, call, fail, send_heartbeat, started
from tests.support.clock import Clock
from tests.support.redis_nodes import RedisServer
from warmer.cli.bulk import BulkWarming
from warmer.cli.monitor import WorkerMonitor
from warmer.cli.rows import Row
from warmer.cli.warm import warm_all
from warmer.keys import Subject
from warmer.redis_client.clients import connect_worker
from warmer.wiring import WorkerContext, open_worker_context

Program = Popen[str]
BROKER_AWAY = " the broker is away (ConnectionError)"
ONE_OF_TWO = ": 1 of 2 rows settled, repeat the command to go on"


def end_of(program: Program) -> tuple[int, str, str]:
    """Returns the exit status, stdout and stderr."""
    out, err = program.communicate()
    return program.returncode, out, err


def settle(context: WorkerContext, user_id: int) -> None:
    """Mark the user as if a worker had found no photo."""
    context.redis.set(context.keys.unavailable(Subject.of_person(user_id)), "none")


def is_enqueued(context: WorkerContext, user_id: int) -> bool:
    return bool(context.redis.exists(context.keys.enqueued(Subject.of_person(user_id), "warm")))


def test_bad_lines_are_named_in_one_line_and_no_row_is_warmed(context: WorkerContext) -> None:
    status, line = fail("warm", "-", given="id,name\n42,Ann\nx,Bob\ny,Cid\n")
    assert status == 2
    assert "line 3: id: 'x' is no id; line 4: id: 'y' is no id" in line
    assert context.redis.dbsize() == 0


def test_a_file_that_is_no_csv_causes_one_line() -> None:
    status, line = fail("warm", "-", given='42,"' + "x" * 200_000)
    assert (status, line.startswith("Error: the file is not CSV: ")) == (2, True)


def test_a_file_that_is_not_utf_8_causes_one_line(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_bytes(b"42,J\xf6rg\n")
    assert fail("warm", "--from-file", str(tmp_path / "users.csv")) == (2, "Error: the file is not UTF-8")


def test_named_rows_are_registered_in_their_order(context: WorkerContext) -> None:
    first, second = next_id(), next_id()
    answer("warm", "--no-wait", "--json", "-", given=f"name,id\nAnn,{first}\nBob,{second}\n")
    assert [partner.name for partner in context.people.list_recent(5)] == ["Bob", "Ann"]


@pytest.mark.usefixtures("live_worker")
def test_a_user_without_a_photo_is_counted_and_the_command_ends() -> None:
    assert call("warm", str(next_id())).stdout == "1 row: 0 ready, 0 unavailable, 1 none.\n"


@pytest.mark.usefixtures("live_worker")
def test_the_command_waits_until_the_picture_is_ready(telegram: FakeTelegram) -> None:
    user_id = next_id()
    telegram.world.add_user(user_id, "Ann")
    assert answer("warm", "--json", str(user_id))["ready"] == 1


@pytest.mark.usefixtures("context")
def test_without_a_worker_the_command_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("warmer.cli.warm.WorkerMonitor", partial(WorkerMonitor, clock=clock, sleep=clock.sleep))
    status, line = fail("warm", "--json", str(next_id()))
    assert (status, "no worker is alive" in line) == (1, True)


def test_the_progress_bar_shows_obstacles_and_then_the_result(context: WorkerContext) -> None:
    seen, user_id, heartbeat = StringIO(), next_id(), send_heartbeat(context)
    context.budget.pause(600)
    console = Console(file=seen, force_terminal=True, width=160)
    with ThreadPoolExecutor(1) as elsewhere:
        ended = elsewhere.submit(
            warm_all, BulkWarming(context), WorkerMonitor(context, waits=True), [Row(user_id, "", None)], console
        )
        wait_until(lambda: re.search(r"Telegram asks for \d+ s of pause", seen.getvalue()))
        heartbeat.close()
        wait_until(lambda: "no worker is alive" in seen.getvalue())
        settle(context, user_id)
        assert not ended.result()
    assert "1 none" in seen.getvalue()


# Ctrl-C


def test_ctrl_c_while_stdin_is_read_prints_one_line() -> None:
    with started("warm", "-", **os.environ) as program:
        assert program.stdin
        program.stdin.write("42\n" * 100_000)  # more than a pipe holds: the program reads
        program.send_signal(signal.SIGINT)
        assert end_of(program) == (130, "", "Interrupted.\n")


def test_ctrl_c_while_waiting_for_a_worker_prints_one_line(context: WorkerContext) -> None:
    others = len(context.redis.client_list())
    with started("warm", "42", **os.environ) as program:
        wait_until(lambda: len(context.redis.client_list()) > others)
        program.send_signal(signal.SIGINT)
        assert end_of(program) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_while_waiting_for_pictures_prints_one_line(context: WorkerContext, options: list[str]) -> None:
    user_id = next_id()
    send_heartbeat(context)
    with started("warm", *options, str(user_id), **os.environ) as program:
        wait_until(lambda: is_enqueued(context, user_id))
        program.send_signal(signal.SIGINT)
        status, out, err = end_of(program)
    assert (status, err.count("\n"), out.count("\n")) == (130, 1, 1), err
    assert err.startswith("Interrupted.")


class NotImported:
    def __set_name__(self, *_: object) -> None:
        raise KeyboardInterrupt


def interrupt_an_import(*_: object) -> None:
    """Stop the definition of a class; Python makes a RuntimeError of it."""

    class _Imported:
        attribute = NotImported()


@pytest.mark.parametrize("is_waiting", [True, False])
def test_ctrl_c_in_an_import_prints_one_line(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, is_waiting: bool
) -> None:
    send_heartbeat(context)
    if is_waiting:
        monkeypatch.setattr("warmer.cli.warm.BulkWarming", partial(BulkWarming, sleep=interrupt_an_import))
    else:
        monkeypatch.setattr("warmer.cli.warm.check_servers", interrupt_an_import)
    result = call("warm", str(next_id()))
    assert (result.exit_code, result.stderr.count("\n")) == (130, 1), result.stderr
    assert result.stderr.startswith("Interrupted.")


# Redis or the broker is away, or goes away


@pytest.mark.usefixtures("context")
def test_an_unreachable_broker_causes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.broker.publish.count_waiting", refuse)
    status, line = fail("warm", "42")
    assert (status, line.partition(":")[2][: len(BROKER_AWAY)]) == (1, BROKER_AWAY)
    assert "0 of 1 row settled" in line


@pytest.mark.usefixtures("impatient")
def test_an_unreachable_redis_causes_one_line_with_the_settled_rows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.publisher.count_waiting("warm")  # Celery reads its configuration once and keeps this broker
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    status, line = fail("warm", "42")
    assert (status, "Redis is away" in line, "0 of 1 row settled" in line) == (1, True, True)


def refuse(*_: object) -> int:
    raise ConnectionError


def warm_until_it_breaks(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None]
) -> tuple[int, str]:
    """Returns the failure of a command that waits for the second of two rows while `end` breaks Redis or the broker."""
    send_heartbeat(context)
    settle(context, first := next_id())
    monkeypatch.setattr("warmer.cli.warm.BulkWarming", partial(BulkWarming, sleep=lambda _: end()))
    return fail("warm", str(first), str(next_id()))


def test_a_broker_lost_during_the_wait_causes_one_line_with_the_settled_rows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end() -> None:
        monkeypatch.setattr("warmer.broker.publish.count_waiting", refuse)

    status, line = warm_until_it_breaks(context, monkeypatch, end)
    assert (status, line.endswith(ONE_OF_TWO)) == (1, True), line
    assert line.startswith(f"Error:{BROKER_AWAY}")


@pytest.mark.usefixtures("impatient")
def test_a_redis_lost_during_the_wait_causes_one_line_with_the_settled_rows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ExitStack() as redis:
        url = redis.enter_context(RedisServer(tmp_path / "pictures")).url
        monkeypatch.setenv("REDIS_URL", url)
        settings = context.settings.model_copy(update={"redis_url": url})
        with closing(open_worker_context(settings, connect_worker(settings))) as other:
            status, line = warm_until_it_breaks(other, monkeypatch, redis.close)
    assert (status, line.endswith(ONE_OF_TWO)) == (1, True), line
    assert line.startswith("Error: Redis is away")


def test_a_broker_lost_without_waiting_causes_one_line_with_the_published_rows(
    context: WorkerContext, tmp_path: Path
) -> None:
    users = tmp_path / "users.csv"
    users.write_text("".join(f"{number},Ann\n" for number in range(1, 20_001)))
    with ExitStack() as rest:
        with RedisServer(tmp_path / "broker") as broker:
            environment = {**os.environ, "CELERY_BROKER_URL": broker.url}
            program = rest.enter_context(started("warm", "--no-wait", "--from-file", str(users), **environment))
            wait_until(lambda: context.redis.zcard(context.keys.recent) > 200)
        status, out, err = end_of(program)
    assert (status, out) == (1, "")
    assert re.fullmatch(r"Error: the broker is away .*: [1-9]\d* of 20000 rows asked for, repeat .*\n", err)


@pytest.mark.usefixtures("context")
def test_without_waiting_the_command_reports_the_published_rows() -> None:
    assert call("warm", "--no-wait", str(next_id())).stdout == "1 row: asked for.\n"
