"""`avatar-warmer diagnose`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from tests.conftest import next_id, wait_until
from tests.support.cli_parts import call, fail, send_heartbeat, web_process
from tests.support.redis_nodes import RedisServer
from tests.support.running import ROOT
from tests.support.servers import Certificate, OneAnswer
from warmer.cli.diagnose import SERVERS
from warmer.cli.figures import read_figures, read_server
from warmer.cli.web_check import QUESTION as WEB
from warmer.cli.web_check import count_web_processes
from warmer.keys import Subject
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings
from warmer.wiring import WorkerContext, open_worker_context

FILE_ID = "A" * 24


@pytest.mark.usefixtures("impatient")
def test_without_redis_diagnose_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    status, line = fail("diagnose")
    assert status == 2
    assert line.startswith("Error: Redis is away (ConnectionError): ")  # since when, a new process cannot know
    assert line.endswith("(docs/runbook.md#redisaway)")
    assert json.loads(call("diagnose", "--json").stdout)["verdict"]["fault"] == "RedisAway"


@pytest.fixture
def running(context: WorkerContext) -> Iterator[WorkerContext]:
    """A web process, a worker and beat."""
    with web_process(context):
        send_heartbeat(context)
        context.redis.set(context.keys.beat, "1")
        yield context


def diagnose_briefly() -> tuple[int, str]:
    """Returns the exit status and the first line."""
    result = call("diagnose")
    return result.exit_code, result.stdout.partition("\n")[0]


def test_diagnose_begins_with_the_verdict(running: WorkerContext) -> None:
    assert diagnose_briefly() == (0, "All is well.")
    running.redis.delete(running.keys.worker("w"), running.keys.workers)
    verdict = json.loads(call("diagnose", "--json").stdout)["verdict"]
    assert (verdict["fault"], verdict["link"]) == ("WorkersGone", "docs/runbook.md#workersgone")
    assert diagnose_briefly() == (1, f"{verdict['sentence']} ({verdict['link']})")
    assert "Diagnosis" in call("diagnose").stdout


def test_without_a_web_process_the_service_is_down(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.redis.set(context.keys.beat, "1")
    result = call("diagnose", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["verdict"]["fault"]) == (1, False, "ServiceDown")
    assert {check["question"]: check["answer"] for check in said["checks"]}[WEB] == "no web process does"
    with web_process(context):
        said = json.loads(call("diagnose", "--json").stdout)
    assert said["verdict"]["is_well"]
    assert {check["question"]: check["answer"] for check in said["checks"]}[WEB] == "1 process"


def test_a_subscriber_that_does_not_answer_is_no_web_process(context: WorkerContext) -> None:
    with context.redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # untyped in redis-py
        channel.subscribe(context.keys.acknowledge)
        channel.get_message(timeout=5)
        assert count_web_processes(context.redis, context.keys, clock=count(step=2).__next__) == 0


def test_what_is_normal_for_people_and_rates_of_the_past_are_nothing_to_do(running: WorkerContext) -> None:
    running.people.register(next_id(), "Ann", FILE_ID)
    running.redis.set(running.keys.unavailable(FILE_ID), "gave-up")
    running.stats.count({"requests": 100, "hits": 20, "misses": 80, "errors": 50})
    running.stats.flush()
    minute = running.redis.time()[0] // 60
    for start in (minute - 1, minute):  # the figures are of an outage half an hour ago
        if running.redis.exists(running.keys.stats(start)):
            running.redis.rename(running.keys.stats(start), running.keys.stats(start - 30))
    result = call("diagnose", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["verdict"]["is_well"]) == (0, True, True)
    noted = [check["question"] for check in said["checks"] if check["state"] == "noted"]
    assert "Are their photos cached?" in noted
    assert "Hit rate over 90 % over the last day?" in noted


def test_an_unsafe_eviction_policy_is_something_to_do_although_the_service_is_well(running: WorkerContext) -> None:
    running.redis.config_set("maxmemory-policy", "allkeys-lfu")
    running.redis.config_set("maxmemory", 100_000_000)
    try:
        status, line = diagnose_briefly()
    finally:
        running.redis.config_set("maxmemory", 0)
        running.redis.config_set("maxmemory-policy", "noeviction")
    assert (status, line.partition(":")[0]) == (1, "The service is well, but not every answer below")


def test_a_pause_is_a_fault_for_the_exit_status_too(running: WorkerContext) -> None:
    running.budget.pause(30)
    assert json.loads(call("diagnose", "--json").stdout)["ok"] is False
    assert diagnose_briefly()[0] == 1


def test_a_name_with_markup_is_printed_unchanged(context: WorkerContext) -> None:
    context.people.register(user_id := next_id(), "Ann [/bold]", None)
    context.redis.set(context.keys.unavailable(Subject.of_person(user_id)), "none")
    result = call("diagnose")
    assert result.exit_code in (0, 1)
    assert "[/bold]" in result.stdout


def test_the_script_runs_the_same_command() -> None:
    command: list[Any] = [sys.executable, ROOT / "scripts" / "diagnose_photos.py", "--partners", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--partners" in done.stderr


def test_a_right_that_redis_denies_is_named_and_the_other_checks_are_left_out(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tmp_path) as server:
        rights = [f"~v2:{settings.bot_id}:*", "resetchannels", "+@all", "-eval"]
        server.client.execute_command("ACL", "SETUSER", "default", "reset", "on", "nopass", *rights)
        monkeypatch.setenv("REDIS_URL", server.url)
        result = call("diagnose", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["now"]) == (1, False, {})
    answers = {check["question"]: check["answer"] for check in said["checks"]}
    assert answers["Does Redis answer, and grant every right?"] == f"denied: +eval &v2:{settings.bot_id}:*"
    assert list(answers)[-1] == "Does the bot answer the workers?"


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Redis of our own that has a partner, and then no room. Yields its administrator."""
    with RedisServer(tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        settings = load_settings()
        with closing(open_worker_context(settings, connect_worker(settings))) as context:
            context.people.register(7, "Ann", FILE_ID)
            context.redis.set(context.keys.unavailable(FILE_ID), "gave-up")  # a picture on its way would be waited for
        server.client.config_set("maxmemory", 1)
        yield server.client


@pytest.mark.usefixtures("telegram")
def test_while_redis_is_full_diagnose_shows_what_it_can_and_names_what_it_cannot(full: Any, tmp_path: Path) -> None:
    said = json.loads(call("diagnose", "--json").stdout)
    checks = {check["question"]: check for check in said["checks"]}
    assert checks["Does Redis answer, and grant every right?"]["answer"] == "away: it is full, and refuses writes"
    room = checks["Does Redis have room for writes?"]
    assert (room["state"], room["answer"].partition(":")[0]) == ("wrong", "it is full, and refuses writes")
    assert checks["How long does a fetch take?"] == {
        "question": "How long does a fetch take?",
        "state": "unknown",
        "answer": "Redis does not tell: it is full, and refuses writes",
    }
    assert checks["Does the bot answer this machine?"]["state"] == "ok"
    assert [row["name"] for row in said["partners"]] == ["Ann"]
    now = said["now"]
    assert (now["listed_partners"], now["redis"]["maxmemory"], now["redis"]["dir"]) == (1, 1, str(tmp_path))
    assert now["redis"]["disk_free"] > 0
    text = " ".join(call("diagnose").stdout.split())
    assert all(title in text for title in ("Now", "Recent partners", "Diagnosis", "evicted keys 0", "disk free"))


@pytest.mark.usefixtures("telegram")
@pytest.mark.parametrize("refuses_writes", [True, False])
def test_a_disk_that_redis_cannot_write_to_is_named(full: Any, tmp_path: Path, refuses_writes: bool) -> None:
    full.config_set("maxmemory", 0)
    full.config_set("stop-writes-on-bgsave-error", "yes" if refuses_writes else "no")
    full.config_set("save", "1 1")
    (tmp_path / "dump.rdb").mkdir()
    full.set("some", "data")
    wait_until(lambda: full.info("persistence")["rdb_last_bgsave_status"] == "err")
    checks = {check["question"]: check["answer"] for check in json.loads(call("diagnose", "--json").stdout)["checks"]}
    reason = "it cannot write to its disk, and refuses writes" if refuses_writes else "it cannot write to its disk"
    assert checks["Does Redis answer, and grant every right?"] == (f"away: {reason}" if refuses_writes else "ok")
    assert checks["Does Redis have room for writes?"].startswith(f"{reason}: ")


@pytest.mark.usefixtures("telegram")
def test_a_replica_is_named(full: Any) -> None:
    full.config_set("maxmemory", 0)
    full.config_set("replica-read-only", "yes")
    full.replicaof("127.0.0.1", 1)
    checks = {check["question"]: check["answer"] for check in json.loads(call("diagnose", "--json").stdout)["checks"]}
    assert checks["Does Redis answer, and grant every right?"] == "away: it is a replica, which is read-only"


def test_figures_that_redis_does_not_permit_are_unknown(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> Any:
        raise NoPermissionError("no permissions to run the 'config|get' command")

    monkeypatch.setattr(context.redis, "config_get", deny)
    figures = read_figures(context, context.health.take())
    assert (figures["redis"]["dir"], figures["redis"]["disk_free"]) == (None, None)
    assert figures["redis"]["maxmemory_policy"] == context.redis.info("memory")["maxmemory_policy"]


@pytest.mark.parametrize(
    ("url", "is_here"),
    [("unix:///run/r.sock", True), ("redis://127.0.0.1:1/0", False), ("redis+sentinel://127.0.0.1/m", False)],
)
def test_only_a_disk_that_is_surely_of_this_machine_is_measured(
    context: WorkerContext, url: str, is_here: bool
) -> None:
    settings = context.settings.model_copy(update={"redis_url": url})
    assert (read_server(replace(context, settings=settings))["disk_free"] is not None) == is_here


def diagnose_wrong() -> dict[str, str]:
    """Returns the answer to each question. Something is wrong, but diagnose goes on."""
    result = call("diagnose", "--json")
    assert result.exit_code == 1, result.output
    return {check["question"]: check["answer"] for check in json.loads(result.stdout)["checks"]}


def test_a_login_that_redis_refuses_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        server.client.config_set("requirepass", "hunter2-hunter2")
        answers = diagnose_wrong()
    assert answers["Does Redis answer, and grant every right?"] == "denied: the login"
    assert "r.sock wants a password" in answers[SERVERS]


@pytest.mark.usefixtures("impatient")
def test_another_server_instead_of_redis_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    with OneAnswer(b"HTTP/1.1 200 OK\r\n\r\n") as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}")
        answers = diagnose_wrong()
    assert "is an HTTP server, not Redis" in answers[SERVERS]
    assert answers["Does Redis answer, and grant every right?"].startswith("away: ")


@pytest.mark.usefixtures("context")
def test_a_login_that_the_broker_refuses_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of its own: Celery has fixed its broker in this one."""
    with RedisServer(tmp_path) as server:
        monkeypatch.setenv("CELERY_BROKER_URL", server.url)
        server.client.config_set("requirepass", "hunter2-hunter2")
        command: list[Any] = [sys.executable, ROOT / "scripts" / "diagnose_photos.py", "--json"]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert fail("warm", "42")[1].startswith("Error: CELERY_BROKER_URL: ")
        assert call("forget", "--yes", "42").exit_code == call("purge", "42").exit_code == 0
    assert done.returncode == 1, done.stderr
    answers = {check["question"]: check["answer"] for check in json.loads(done.stdout)["checks"]}
    assert answers[SERVERS].startswith("CELERY_BROKER_URL: ")
    assert answers["Does the broker answer?"] == "denied"
    assert answers["Are there recent partners?"] == "none is registered"


@pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_a_certificate_that_is_not_trusted_ends_diagnose_before_a_secret_is_sent(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OneAnswer(certificate=certificate) as server:
        monkeypatch.setenv(name, f"rediss://:hunter2-hunter2@127.0.0.1:{server.port}")
        status, line = fail("diagnose")
        assert (status, server.heard) == (2, [])
    assert line.startswith(f"Error: {name}: does not trust ")


# The figures


def read_now() -> Any:
    """The figures in the one object that diagnose prints."""
    return json.loads(call("diagnose", "--json").stdout)["now"]


def test_diagnose_counts_the_queues_and_names_the_workers(context: WorkerContext) -> None:
    context.publisher.publish("A" * 24, "warm")
    send_heartbeat(context)
    now = read_now()
    assert now["queues"] == {"tick": 0, "webhook": 0, "hot": 0, "warm": 1, "rewarm": 0}
    assert (now["workers"], now["bot"], now["due"], now["listed_partners"]) == (["w"], ["ok"], 1, 0)
    assert (now["pause_seconds"], now["halted"], now["last_24_hours"]["requests"]) == (0, False, 0)


def test_memory_is_in_bytes_as_json_and_readable_in_the_table(context: WorkerContext) -> None:
    context.redis.config_set("maxmemory", 200_000_000)
    try:
        assert read_now()["redis"]["maxmemory"] == 200_000_000
        assert "maxmemory 200.0 MB" in " ".join(call("diagnose").stdout.split())
    finally:
        context.redis.config_set("maxmemory", 0)


@pytest.mark.usefixtures("context")
def test_unknown_figures_are_shown_as_unknown() -> None:
    now = read_now()
    assert (now["bot"], now["last_hour"]["hit_rate"]) == (["unknown"], None)


def test_an_unreachable_broker_is_reported(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ConnectionError

    monkeypatch.setattr("warmer.broker.publish.count_waiting", fail)
    assert read_now()["queues"] is None
    assert "queues" in call("diagnose").stdout
