"""Draws lines over 24 hours as points of an SVG, with the same in words for screen readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, groupby

from web.pages.history import STEP_MINUTES, Figures
from web.pages.overview import Step

WIDTH, HEIGHT = 320, 80  # units of the drawing
DAY = "last 24 hours"
Value = float | None
Read = Callable[[Figures], Value]


@dataclass(frozen=True, slots=True)
class Plan:
    """The content of a chart: a value of each step per line."""

    title: str
    unit: str  # %, ms, or nothing
    lines: dict[str, Read]
    starts_at_zero: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a piece for each stretch without a gap, as the `points` of a polyline."""

    label: str
    pieces: list[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its labels; `words` describe it."""

    title: str
    words: str
    lowest: str
    highest: str
    lines: list[Line]
    latest: str = ""  # in place of the lines, while there is a single point


PLANS = (
    Plan("Hit rate", "%", {"hit rate": lambda one: one.hit_rate}, starts_at_zero=False),
    Plan("Error rate", "%", {"error rate": lambda one: one.error_rate}),
    Plan("Requests a minute", "", {"requests": lambda one: one.requests / STEP_MINUTES}),
    Plan("Cached, response time", "ms", {"p50": lambda one: one.cached.p50_ms, "p99": lambda one: one.cached.p99_ms}),
    Plan(
        "Uncached, response time",
        "ms",
        {"p50": lambda one: one.uncached.p50_ms, "p99": lambda one: one.uncached.p99_ms},
    ),
    Plan("Calls to Telegram", "", {"all": lambda one: one.calls, "failed": lambda one: one.failed_calls}),
    Plan("Pauses that Telegram asked for", "", {"pauses": lambda one: one.pauses}),
    Plan("Warmings", "", {"all": lambda one: one.warmings, "failures": lambda one: one.failures}),
    Plan(
        "Found unavailable",
        "",
        {
            "no photo": lambda one: one.unavailable.get("none", 0),
            "other causes": lambda one: sum(one.unavailable.values()) - one.unavailable.get("none", 0),
        },
    ),
    Plan(
        "Waiting messages",
        "",
        {
            "hot": lambda one: one.queues.get("hot"),
            "warm": lambda one: one.queues.get("warm"),
            "rewarm": lambda one: one.queues.get("rewarm"),
        },
    ),
    Plan("Scheduled", "", {"subjects": lambda one: one.due}),
    Plan("Workers", "", {"processes": lambda one: one.workers}),
)


def draw_all(steps: Sequence[Step], period: str = DAY) -> list[Chart]:
    """Every chart of these steps, from the first one with figures on. `period`: since then, in words."""
    figures = [step.figures for step in dropwhile(lambda step: step.figures is None, steps)]
    return [draw(plan, figures, period) for plan in PLANS]


def draw(plan: Plan, figures: Sequence[Figures | None], period: str = DAY) -> Chart:
    """One chart. A step without figures is a gap."""
    lines = {label: [None if one is None else read(one) for one in figures] for label, read in plan.lines.items()}
    known = [value for values in lines.values() for value in values if value is not None]
    if not known:
        return Chart(plan.title, f"{plan.title}: no data in the last 24 hours", "", "", [])
    if len(figures) == 1:
        shown = {label: format_value(value, plan.unit) for label, (value,) in lines.items()}
        latest = ", ".join(f"{label} {value}" if len(shown) > 1 else value for label, value in shown.items())
        return Chart(plan.title, "", "", "", [], latest)
    low, high = (min(0.0, *known) if plan.starts_at_zero else min(known)), max(known)
    return Chart(
        title=plan.title,
        words=f"{plan.title}, {period}. " + " ".join(_describe(plan.unit, *line) for line in lines.items()),
        lowest=format_value(low, plan.unit),
        highest=format_value(high, plan.unit),
        lines=[Line(label, list(_cut(values, low, high))) for label, values in lines.items()],
    )


def format_value(value: Value, unit: str) -> str:
    """A figure with its unit; a dash for None."""
    if value is None:
        return "–"
    if unit == "%":
        return f"{value * 100:.1f} %".replace(".0 %", " %")
    digits = 1 if abs(value) < 10 and value % 1 else 0
    return f"{value:,.{digits}f} {unit}".strip()


def _describe(unit: str, label: str, values: Sequence[Value]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return f"{label}: no data."
    last = format_value(values[-1], unit) if values[-1] is not None else "no data"
    return f"{label}: lowest {format_value(min(known), unit)}, highest {format_value(max(known), unit)}, last {last}."


def _cut(values: Sequence[Value], low: float, high: float) -> Iterator[str]:
    """The pieces of a line between its gaps. A single point is drawn as a dot."""
    across, up = WIDTH / max(len(values) - 1, 1), HEIGHT / ((high - low) or 1)
    for is_known, group in groupby(enumerate(values), key=lambda pair: pair[1] is not None):
        if is_known:
            points = [f"{at * across:.1f},{HEIGHT - ((value or 0) - low) * up:.1f}" for at, value in group]
            yield " ".join(points if len(points) > 1 else points * 2)
