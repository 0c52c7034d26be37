"""`avatar-warmer diagnose`"""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import asdict
from typing import Any

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from warmer.broker.start_check import find_wrong_servers
from warmer.cli.checks import PartnerRow
from warmer.cli.checks import diagnose as ask_all
from warmer.cli.common import CannotAsk, as_json, count, echo_json, opened_worker_context
from warmer.cli.figures import read_figures, show_figure
from warmer.cli.redis_checks import Check
from warmer.cli.web_check import check_web, count_web_processes
from warmer.observe.checks import Health
from warmer.observe.verdict import Observed, Verdict, find_runbook, make_verdict
from warmer.state.stats import list_minutes
from warmer.wiring import WorkerContext

SERVERS = "Are Redis and the broker what the URLs say?"
VERDICT_MINUTES = 1440  # a fault may be that old
MARKS = {"ok": "✅", "wrong": "❌", "noted": "❕", "unknown": "❔"}


@click.command()
@click.option(
    "--partners", type=click.IntRange(1, 100), default=20, show_default=True, help="How many of the newest to look at."
)
@as_json
def diagnose(partners: int, is_json: bool) -> None:
    """Say how the service is and what is wrong.

    Exit status: 0 nothing for an operator to do, 1 something is wrong, 2 it cannot check.

    \b
    Examples:
      avatar-warmer diagnose
      avatar-warmer diagnose --json --partners 5
    """
    wrong: list[str] = []  # a server that refuses the login is a finding; one that is not trusted is asked nothing
    progress = nullcontext() if is_json else Console(stderr=True).status("Asking…")
    with (
        opened_worker_context(
            lambda settings: wrong.extend(map(str, find_wrong_servers(settings))), CannotAsk
        ) as context,
        progress as status,
    ):
        health = context.health.take()
        number = count_web(context, health)
        verdict = load_verdict(context, health, is_web_missing=number == 0)
        if not (health.can_read or health.denied or wrong):
            if is_json:
                echo_json({"ok": False, "verdict": asdict(verdict)})
            raise CannotAsk(format_first_line(verdict, 0))
        figures = read_figures(context, health) if health.can_read and not health.denied else {}
        servers = Check(SERVERS, "wrong" if wrong else "ok", "; ".join(wrong) or "they are")
        findings: list[Check | PartnerRow] = [servers, check_web(number)]
        for finding in ask_all(context, partners, health):
            findings.append(finding)
            if status:
                status.update(escape(f"Asking… {finding.question if isinstance(finding, Check) else finding.name}"))
    sys.exit(0 if print_result(verdict, findings, figures, is_json=is_json) else 1)


def print_result(
    verdict: Verdict, findings: list[Check | PartnerRow], figures: dict[str, Any], *, is_json: bool
) -> bool:
    """Print everything. Returns True if there is nothing for an operator to do."""
    checks = [finding for finding in findings if isinstance(finding, Check)]
    wrong_answers = sum(check.state == "wrong" for check in checks)
    is_ok = verdict.is_well and not wrong_answers
    if is_json:
        people = [asdict(row) for row in findings if isinstance(row, PartnerRow)]
        answers = {"checks": list(map(asdict, checks)), "partners": people, "now": figures}
        echo_json({"ok": is_ok, "verdict": asdict(verdict), **answers})
    else:
        click.echo(format_first_line(verdict, wrong_answers))
        print_tables(findings, figures, Console())
    return is_ok


def count_web(context: WorkerContext, health: Health) -> int | None:
    """Return the number of web processes that answer. Returns None if Redis does not let them."""
    if health.checks["redis"] == "ok":
        with suppress(RedisError):
            return count_web_processes(context.redis, context.keys)
    return None


def load_verdict(context: WorkerContext, health: Health, *, is_web_missing: bool) -> Verdict:
    """Return the verdict that `/ops` shows, too; but only this command can tell that the web tier is missing."""
    at, minutes, webhook = int(time.time()), list[Counter[str]](), None
    with suppress(RedisError):
        minute, minutes = list_minutes(context.redis, context.keys, VERDICT_MINUTES)
        at = max(60 * minute, min(context.redis.time()[0], 60 * minute + 59))  # of the last of these minutes
        webhook = context.delivery.outbox.look() if context.delivery else None
    runbook = find_runbook(context.settings.docs_url, context.settings.public_url)
    return make_verdict(Observed(health, minutes, at, webhook, is_web_missing), runbook)


def format_first_line(verdict: Verdict, wrong_answers: int) -> str:
    """Return the verdict, or how many answers below are wrong although the service is well."""
    if not verdict.is_well:
        return f"{verdict.sentence} ({verdict.link})"
    if wrong_answers:
        return f"The service is well, but not every answer below: {count(wrong_answers, 'answer')} wrong."
    return verdict.sentence


def print_tables(findings: list[Check | PartnerRow], figures: dict[str, Any], console: Console) -> None:
    """Three readable tables."""
    now = Table("what", "now", title="Now")
    for name, value in figures.items():
        now.add_row(name.replace("_", " "), escape(show_figure(value)))
    people = Table("id", "name", "file id", "status", "TTL", "stored", title="Recent partners")
    for row in findings:
        if isinstance(row, PartnerRow):
            ttl = f"{row.ttl_seconds / 3600:.1f} h" if row.ttl_seconds else "–"
            stored = f"{len(row.bytes_by_variant)}: {sum(row.bytes_by_variant.values()) / 1000:.1f} kB"
            people.add_row(str(row.id), escape(row.name), (row.photo_file_id or "–")[:16], row.status, ttl, stored)
    answers = Table("", "question", "answer", title="Diagnosis")
    for check in findings:
        if isinstance(check, Check):
            answers.add_row(MARKS[check.state], check.question, escape(check.answer))
    console.print(now, people, answers)
