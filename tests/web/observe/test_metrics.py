"""Prometheus metrics: served to API keys only; every metric, the queues, and the workers' counters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.remaining import remaining
from tests.support.running import ROOT
from tests.support.web_parts import (
    MakeApp,
    add_worker,
    file_url,
    new_file_id,
    new_id,
    store_picture,
    store_unavailable,
    user_url,
)
from warmer.broker.publish import EagerLane
from warmer.errors import InvalidFileId
from warmer.keys import QUEUES, Subject
from warmer.state.budget import Budget
from warmer.state.stats import sum_minutes
from web.wiring import get_web_context

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]
Read = Callable[[], Figures]
COUNTED = {
    "avatar_photos", "avatar_photo_seconds", "avatar_shed", "avatar_requests", "avatar_log_lines_dropped",
    "avatar_warmings", "avatar_warm_seconds", "avatar_warm_step_seconds",
    "avatar_upstream_calls", "avatar_upstream_seconds", "avatar_upstream_pauses", "avatar_webhook_events",
}  # fmt: skip
READ = {
    "avatar_queue_length", "avatar_due", "avatar_due_late_seconds", "avatar_check", "avatar_workers",
    "avatar_workers_silent", "avatar_upstream_pause_seconds", "avatar_upstream_halted", "avatar_webhook_waiting",
    "avatar_webhook_late_seconds", "avatar_webhook_failures", "avatar_webhook_dead", "avatar_webhook_stopped",
}  # fmt: skip


@pytest.fixture
def figures(client: FlaskClient, as_server: dict[str, str]) -> Read:
    """Reads /metrics."""

    def read() -> Figures:
        text = client.get("/metrics", headers=as_server).get_data(as_text=True)
        families = text_string_to_metric_families(text)
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}

    return read


def test_metrics_have_the_format_of_prometheus(client: FlaskClient, as_server: dict[str, str]) -> None:
    answer = client.get("/metrics", headers=as_server)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "version=" in answer.headers["Content-Type"]


def test_every_metric_appears_once(client: FlaskClient, as_server: dict[str, str]) -> None:
    import warmer.observe.metrics  # noqa: F401 - workers count in the same folder

    text = client.get("/metrics", headers=as_server).get_data(as_text=True)
    named = [family.name for family in text_string_to_metric_families(text) if family.name.startswith("avatar_")]
    assert sorted(name for name in named if not name.endswith("_created")) == sorted(COUNTED | READ)


@pytest.mark.parametrize(
    ("result", "ask"),
    [
        ("hit", lambda app, client: client.get(file_url(store_picture(app)))),
        ("error", lambda _, client: client.get(file_url(new_file_id()))),
        (
            "not_found",
            lambda app, client: client.get(file_url(store_unavailable(app, new_file_id(), InvalidFileId("x")))),
        ),
        ("refused", lambda _, client: client.get(file_url(new_file_id(), sig=""))),
        ("refused", lambda _, client: client.get(user_url(new_id(), size=1))),
    ],
)
def test_photo_answers_are_counted_by_result(
    app: Flask, client: FlaskClient, figures: Read, result: str, ask: Callable[[Flask, FlaskClient], object]
) -> None:
    before = figures()
    ask(app, client)
    results = {
        labels: value - before.get((name, labels), 0)
        for (name, labels), value in figures().items()
        if name == "avatar_photos_total"
    }
    assert {dict(labels)["result"]: value for labels, value in results.items() if value} == {result: 1}


def test_the_duration_of_a_served_picture_is_measured(app: Flask, client: FlaskClient, figures: Read) -> None:
    key = ("avatar_photo_seconds_count", (("cache", "hit"),))
    before = figures().get(key, 0)
    client.get(file_url(store_picture(app)))
    assert figures()[key] - before == 1


def test_answers_are_counted_by_endpoint_and_status_without_paths(client: FlaskClient, figures: Read) -> None:
    before = figures()
    for path in ("/nowhere/987654321", "/healthz", "/api/partner/987654321"):
        client.get(path)
    now = figures()
    for endpoint, status in (("none", "404"), ("health.is_alive", "200"), ("partners.get_partner", "401")):
        key = ("avatar_requests_total", (("endpoint", endpoint), ("status", status)))
        assert now[key] - before.get(key, 0) == 1
    assert not any("987654321" in value for _, labels in now for _, value in labels)


@pytest.mark.timeout(120)
def test_a_scrape_counts_the_newest_hits_and_waits_for_no_reader_of_the_log(
    app: Flask, client: FlaskClient, figures: Read
) -> None:
    before, access_log = figures(), get_web_context(app).observe.access_log
    key = ("avatar_photos_total", (("result", "hit"),))
    with access_log._writing:  # as the writer that hangs
        client.get(file_url(store_picture(app)))
        assert figures()[key] - before.get(key, 0) == 1


@pytest.mark.usefixtures("redis", "telegram")
def test_refused_misses_above_hot_max_are_counted(figures: Read, make_app: MakeApp) -> None:
    key = ("avatar_shed_total", ())
    before, app = figures()[key], make_app(hot_max=0)
    app.test_client().get(file_url(new_file_id()))
    assert figures()[key] - before == 1
    context = get_web_context(app).observe
    context.stats.flush()
    assert sum_minutes(context.redis, context.keys, 2)["shed"] == 1


def test_the_length_of_each_queue_is_exported(app: Flask, figures: Read) -> None:
    publisher = get_web_context(app).photos.publisher
    lanes: list[EagerLane] = ["warm", "warm", "rewarm"]
    for lane in lanes:
        publisher.publish(new_file_id(), lane)
    for _ in range(3):
        publisher.publish_hot(new_file_id(), None)
    lengths = {queue: figures()["avatar_queue_length", (("queue", queue),)] for queue in QUEUES}
    assert lengths == {"tick": 0, "webhook": 0, "hot": 3, "warm": 2, "rewarm": 1}


def test_workers_schedule_and_halt_are_read_from_redis(app: Flask, figures: Read) -> None:
    web_context = get_web_context(app)
    add_worker(app)
    web_context.redis.zadd(web_context.keys.schedule, {Subject.of_person(1): 1, Subject.of_person(2): 2})
    budget = Budget(web_context.redis, web_context.keys, 12)
    budget.pause(30)
    budget.halt()
    now = figures()
    assert (now["avatar_workers", ()], now["avatar_due", ()], now["avatar_upstream_halted", ()]) == (1, 2, 1)
    states = [labels for (metric, labels), value in now.items() if metric == "avatar_check" and value]
    said = {(check, state) for (_, check), (_, state) in states}
    assert said >= {("worker", "ok"), ("beat", "missing"), ("redis", "ok")}


def test_a_pause_is_exported_in_seconds(app: Flask, figures: Read) -> None:
    web_context = get_web_context(app)
    Budget(web_context.redis, web_context.keys, 12).pause(30)
    assert figures()["avatar_upstream_pause_seconds", ()] == remaining(30)


COUNT_AS_A_WORKER = "import warmer.observe.metrics as m; m.WARMINGS.labels('hot', 'done').inc(7)"
SHOW = """
from web import create_app
headers = {"Authorization": "Bearer an-api-key-for-tests"}
client, text = create_app().test_client(), ""
while "avatar_due" not in text:  # Redis may answer late on a busy machine
    text = client.get("/metrics", headers=headers).get_data(as_text=True)
print(text)
"""


@pytest.mark.usefixtures("redis")
def test_worker_counters_are_exported_through_the_shared_folder(tmp_path: Path) -> None:
    here = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for code in (COUNT_AS_A_WORKER, SHOW):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=here, capture_output=True, text=True, check=True, timeout=300)
    assert 'avatar_warmings_total{lane="hot",outcome="done"} 7.0' in done.stdout
    assert "avatar_due 0.0" in done.stdout


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/nowhere", "/static/page.js", "/api/partner/recent"]
)
def test_every_answer_has_its_duration(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert float(answer.headers["X-Response-Time"].removesuffix("ms")) >= 0
    assert "total;dur=" in answer.headers["Server-Timing"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_log_lines_of_the_original_are_kept(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    stored, absent = store_picture(app), store_unavailable(app, new_file_id(), InvalidFileId("x"))
    with caplog.at_level("INFO", "web"):
        client.get(file_url(stored)), client.get(file_url(absent))
        get_web_context(app).observe.access_log.write()
    # The log's thread may write the first line before the second request ends.
    not_found, served = sorted((line for line in caplog.messages if "..." in line), key=lambda line: "📸" in line)
    assert served.startswith(f"📸 Photo served for {stored[:20]}... in ")
    assert served.endswith("ms")
    assert not_found == f"⚠️ Photo not found: {absent[:20]}..."
