"""Alerts, dashboard and runbook: they fire, they are explained, and they ask only for figures that there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import wait_until
from tests.support.running import ROOT, Service
from tests.support.web_parts import file_url, new_file_id, warm_picture
from warmer.stats import ERROR_RATE_MAX, HIT_RATE_MIN
from web.ops import CACHED_MS_MAX, UNCACHED_MS_MAX

FOLDER = ROOT / "deploy" / "monitoring"
RULES = (FOLDER / "alerts.yml").read_text("utf-8")
DASHBOARD: Any = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)
PARTS = ["For users", "Look first", "Do", "Over when"]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def promtool(*arguments: str, folder: Path = FOLDER) -> None:
    """A missing promtool skips on a laptop and fails in CI, where nobody would see the skip."""
    if shutil.which("promtool") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no promtool on this machine")
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def list_sections() -> dict[str, str]:
    """The sections of the runbook that are about alerts."""
    parts = re.split(r"^## (\w+)$", RUNBOOK, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def name_metrics(expressions: str) -> set[str]:
    return set(re.findall(r"\bavatar_[a-z_]+", expressions))


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


def test_every_alert_is_tested_both_ways() -> None:
    cases = re.findall(r"- name: (\w+) (fires|does not fire)$", (FOLDER / "alerts.test.yml").read_text(), re.MULTILINE)
    assert sorted(cases) == sorted((name, way) for name in ALERTS for way in ("fires", "does not fire"))


def test_the_example_of_a_configuration_is_one(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "avatar-warmer.key").write_text("key")
    promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() -> None:
    assert list(list_sections()) == ALERTS
    links = re.findall(r"runbook: (\S+)", RULES)
    assert links == [f"docs/runbook.md#{name.lower()}" for name in ALERTS]


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_it_means_where_to_look_what_to_do_and_when_it_is_over(name: str) -> None:
    assert re.findall(r"^\*\*([\w ]+)\.\*\*", list_sections()[name], re.MULTILINE) == PARTS


def test_the_targets_are_those_of_the_page() -> None:
    for target in (f"> {1 - HIT_RATE_MIN:.1f}", f"> {ERROR_RATE_MAX}", f"> {CACHED_MS_MAX / 1000}"):
        assert target in RULES
    assert f"> {UNCACHED_MS_MAX / 1000}" in RULES


def test_the_panels_of_the_dashboard_stand_side_by_side() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(place["x"] + dx, place["y"]) for place in places for dx in range(place["w"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_the_expressions_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    rules = [
        {"record": "x", "expr": expression.replace("$__rate_interval", "5m").replace("$job", "avatar-warmer")}
        for expression in EXPRESSIONS
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", "rules.yml", folder=tmp_path)


def test_every_figure_that_they_ask_for_is_in_the_metrics_of_a_running_service(service: Service) -> None:
    asked = name_metrics(RULES) | name_metrics(" ".join(EXPRESSIONS))
    service.call("GET", warm_picture(service))
    service.call("GET", file_url(new_file_id()))

    def list_missing() -> set[str]:
        families = text_string_to_metric_families(service.call("GET", "/metrics").text)
        return asked - {sample.name for family in families for sample in family.samples}

    assert len(asked) > 15
    wait_until(lambda: not list_missing(), 15)
