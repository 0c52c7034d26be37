"""Alerts and dashboard, checked with promtool and beside a running service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.scripts.test_monitoring import EXPRESSIONS, FOLDER, RULES
from tests.support.programs import find_program
from tests.support.running import Service
from tests.support.waiting import wait_until
from tests.support.web_parts import file_url, new_file_id, warm_picture


def promtool(*arguments: str, folder: Path = FOLDER) -> None:
    done = subprocess.run(
        [find_program("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_under_its_condition_and_only_then() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


def test_the_alerts_fire_while_an_outage_lasts_and_end_with_it() -> None:
    promtool("test", "rules", "outages.test.yml")


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "avatar-warmer.key").write_text("key")
    promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_the_dashboard_expressions_parse(tmp_path: Path) -> None:
    rules = [
        {"record": "x", "expr": expression.replace("$__rate_interval", "5m").replace("$job", "avatar-warmer")}
        for expression in EXPRESSIONS
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", "rules.yml", folder=tmp_path)


def name_metrics(expressions: str) -> set[str]:
    return set(re.findall(r"\bavatar_[a-z_]+", expressions))


def test_a_running_service_exports_every_metric_that_alerts_and_dashboard_use(service: Service) -> None:
    asked = name_metrics(RULES) | name_metrics(" ".join(EXPRESSIONS))
    service.ask("GET", warm_picture(service))
    service.ask("GET", file_url(new_file_id()))

    def list_missing() -> set[str]:
        families = text_string_to_metric_families(service.ask("GET", "/metrics").text)
        return asked - {sample.name for family in families for sample in family.samples}

    assert len(asked) > 15
    wait_until(lambda: not list_missing())
