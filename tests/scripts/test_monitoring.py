"""Alerts, dashboard and runbook: each alert is tested and explained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import ROOT
from warmer.keys import HEARTBEAT_SECONDS
from warmer.observe import rates
from warmer.observe.checks import RIGHTS_SECONDS, STATES
from warmer.observe.verdict import COMMANDS
from warmer.state.stats import CACHED_MS_MAX, ERROR_RATE_MAX, HIT_RATE_MIN, UNCACHED_MS_MAX, WAITING_MAX
from warmer.state.workers import BEAT_SECONDS
from warmer.worker.heartbeat import BOT_SECONDS

FOLDER = ROOT / "deploy" / "monitoring"
RULES = (FOLDER / "alerts.yml").read_text("utf-8")
DASHBOARD: Any = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)
PARTS = ["Look first", "For users", "Do", "Over when"]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
# Seconds from the outage until the next scrape shows it, at most, by alert. A hanging web tier takes all of a scrape's.
NOTICED = {
    "ServiceDown": 5.0,
    "RedisAway": 0.0,
    "BrokerAway": 0.0,
    "RightsMissing": RIGHTS_SECONDS,
    "WorkersGone": HEARTBEAT_SECONDS,
    "WorkersFewer": HEARTBEAT_SECONDS,
    "BeatMissing": HEARTBEAT_SECONDS,
    "TelegramUnreachable": BOT_SECONDS + BEAT_SECONDS,  # a getMe may take a beat's time
    "TokenRefused": BOT_SECONDS + BEAT_SECONDS,
}


def list_sections() -> dict[str, str]:
    """Returns the sections of the runbook, those about alerts first."""
    parts = re.split(r"^## (.+)$", RUNBOOK, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() -> None:
    cases = re.findall(r"- name: (\w+) (fires|does not fire)$", (FOLDER / "alerts.test.yml").read_text(), re.MULTILINE)
    assert sorted(cases) == sorted((name, way) for name in ALERTS for way in ("fires", "does not fire"))


def test_the_outages_that_are_played_let_every_alert_fire_that_they_name_and_end() -> None:
    text = (FOLDER / "outages.test.yml").read_text("utf-8")
    for course in text.split("  - name: ")[1:]:
        moments = re.findall(r"exp_samples:(?: (\[\])|\n((?: +- \{labels.*\n)+))", course)
        assert moments[-1][0] == "[]", course
    named = set(re.findall(r'alertname="(\w+)"', text))
    assert {"RedisAway", "TelegramUnreachable", "TokenRefused", "WorkersFewer", "BeatMissing", "MissesShed"} <= named
    assert named <= set(ALERTS)


@pytest.mark.parametrize(
    ("settings", "runbook"),
    [
        (
            {"DOCS_URL": "https://docs.example/a/", "PUBLIC_URL": "https://a.example"},
            "https://docs.example/a/runbook.html",
        ),
        ({"PUBLIC_URL": "https://a.example"}, "https://a.example/docs/runbook.md"),
        ({}, "docs/runbook.md"),
    ],
)
def test_the_links_of_the_printed_alerts_are_absolute(settings: dict[str, str], runbook: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], **settings}
    command: list[Any] = [sys.executable, ROOT / "deploy" / "alerts.py"]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"runbook: (\S+)", printed) == [f"{runbook}#{name.lower()}" for name in ALERTS]
    assert printed.replace(runbook, "docs/runbook.md") == RULES


def test_every_alert_has_one_section_in_the_runbook() -> None:
    assert list(list_sections())[: len(ALERTS)] == ALERTS
    links = re.findall(r"runbook: (\S+)", RULES)
    assert links == [f"docs/runbook.md#{name.lower()}" for name in ALERTS]


def test_no_section_about_the_webhook_brings_forgotten_people_back() -> None:
    assert [name for name, text in list_sections().items() if name.startswith("Webhook") and "resolve" in text] == []


def test_every_section_begins_with_a_command() -> None:
    assert {name: text for name, text in list_sections().items() if not text.startswith("\n\n**Look first.** `")} == {}


def test_every_alert_on_a_check_names_a_word_that_the_check_can_say() -> None:
    found = re.findall(r'avatar_check\{check=~?"([\w|]+)", state=~?"([\w|]+)"\}', RULES)
    pairs = {(check, state) for checks, states in found for check in checks.split("|") for state in states.split("|")}
    assert pairs == {(check, state) for check, states in STATES.items() for state in states} - {
        (check, state) for check in STATES for state in ("ok", "unknown")
    }


def test_each_part_that_is_lost_alerts_within_40_s_and_a_blip_does_not() -> None:
    (scrape,) = re.findall(r"scrape_interval: (\d+)s", (FOLDER / "prometheus.yml").read_text("utf-8"))
    (evaluation,) = re.findall(r"^    interval: (\d+)s", RULES, re.MULTILINE)
    pending = dict(re.findall(r"- alert: (\w+)\n(?:(?!- alert).)*?for: (\w+)\n", RULES, re.DOTALL))
    seconds = {name: int(pending[name].removesuffix("s")) for name in NOTICED}
    on_checks = re.findall(r"- alert: (\w+)\n(?:(?!- alert).)*?avatar_check", RULES, re.DOTALL)
    assert set(NOTICED) == {"ServiceDown", *on_checks}
    for name, noticed in NOTICED.items():
        assert noticed + int(scrape) + int(evaluation) + seconds[name] <= 40, name
    assert min(seconds.values()) >= 2 * BEAT_SECONDS  # longer than a missed beat shows


def test_every_section_says_first_look_meaning_action_and_end() -> None:
    parts = {name: re.findall(r"^\*\*([\w ]+)\.\*\*", text, re.MULTILINE) for name, text in list_sections().items()}
    assert {name: found for name, found in parts.items() if found != PARTS} == {}


def test_the_alert_thresholds_are_the_targets_of_the_operators_page() -> None:
    for target in (f"> {1 - HIT_RATE_MIN:.1f}", f"> {ERROR_RATE_MAX}", f"> {CACHED_MS_MAX / 1000}"):
        assert target in RULES
    assert f"> {UNCACHED_MS_MAX / 1000}" in RULES


def test_every_alert_has_a_verdict_and_those_that_page_come_first() -> None:
    assert sorted(COMMANDS) == sorted(ALERTS)
    severities = dict(re.findall(r"- alert: (\w+)\n(?:(?!- alert).)*?severity: (\w+)", RULES, re.DOTALL))
    assert sorted(COMMANDS, key=lambda name: severities[name] == "ticket") == list(COMMANDS)


# The rule of the verdict, and how the alert spells that it needs more than so many.
VERDICTS = {
    "MissesShed": (rates.SHED, "> 0.1"),
    "HitRateLow": (rates.HITS, "[30m])) > 0.1"),
    "CachedSlow": (rates.CACHED, "[10m])) > 0.1"),
    "UncachedSlow": (rates.UNCACHED, "[30m])) > 20"),
    "TelegramPauses": (rates.PAUSES, "[1h])) > 3"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_judges_by_the_rule_of_the_alert(name: str) -> None:
    (text,) = re.findall(rf"- alert: {name}\n((?:(?!- alert).)*)", RULES, re.DOTALL)
    rule, least = VERDICTS[name]
    windows = {60 if window == "1h" else int(window.removesuffix("m")) for window in re.findall(r"\[(\w+)\]", text)}
    assert windows == {rule.window, rule.short_window}
    assert f"for: {rule.lasts}m\n" in text
    assert least in text
    number = float(least.rpartition(" ")[2])
    assert rule.least == (number if "increase" in text else round(number * 60 * rule.window))


def test_the_verdict_judges_samples_and_events_by_the_rule_of_the_alert() -> None:
    spelled = re.sub(r"\s+", " ", RULES)
    assert re.search(rf"avatar_queue_length\S+\) > {WAITING_MAX} for: {rates.FULL_MINUTES}m ", spelled)
    late, minutes = rates.LATE_SECONDS_MAX, rates.LATE_MINUTES
    assert f"(avatar_due_late_seconds) > {late} for: {minutes}m " in spelled
    assert f"[10m])) > 0 for: {rates.WEBHOOK_MINUTES - 10}m " in spelled


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(place["x"] + dx, place["y"]) for place in places for dx in range(place["w"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
