"""Service health, HTML or JSON, for operators. warmer/observe/verdict.py chooses its first sentence."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify, render_template

from warmer.observe.rates import CACHED, REQUESTS_MIN, UNCACHED
from warmer.state.stats import CACHED_MS_MAX, ERROR_RATE_MAX, HIT_RATE_MIN, UNCACHED_MS_MAX
from web.context import get_context
from web.pages.charts import DAY, HEIGHT, WIDTH, draw_all, format_value
from web.pages.context import PageContext
from web.pages.operators import require_operator
from web.pages.overview import Overview, take_overview

bp = Blueprint("ops", __name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Fewer are too few to tell, as for the verdict and `diagnose`.
LEAST = {"rate": REQUESTS_MIN, "cached": CACHED.least + 1, "uncached": UNCACHED.least + 1}
WHOLE_DAY_SECONDS = 23.5 * 3600  # figures that reach back further fill the charts


@bp.get("/ops")
def show_page() -> Response:
    """Show the verdict, the health now, the figures of the last day, and the last failures."""
    require_operator(takes_basic=True)
    overview = take_overview(get_context(PageContext))
    period = format_period(overview)
    page = render_template(
        "ops.html",
        overview=overview,
        period_shown=period or "24 h ago",
        charts=draw_all(overview.steps, period or DAY),
        width=WIDTH,
        height=HEIGHT,
        format_value=format_value,
        format_age=format_age,
        format_duration=format_duration,
        format_instant=format_instant,
        show_instant=show_instant,
        targets={"hits": HIT_RATE_MIN, "errors": ERROR_RATE_MAX, "cached": CACHED_MS_MAX, "uncached": UNCACHED_MS_MAX},
        least=LEAST,
    )
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/ops.json")
def show_figures() -> Response:
    """Return the overview that `/ops` shows, as JSON."""
    require_operator(takes_basic=True)
    response = jsonify(asdict(take_overview(get_context(PageContext))))
    response.headers["Cache-Control"] = "no-store"
    return response


def format_period(overview: Overview) -> str:
    """Return since when there are figures, such as `since 12 min`. Returns "" if it is the whole day."""
    if overview.since is None or overview.at - overview.since > WHOLE_DAY_SECONDS:
        return ""
    return f"since {format_duration(overview.at - overview.since)}"


def format_age(seconds: int) -> str:
    """An age in one unit."""
    return f"{format_duration(seconds)} ago"


def format_duration(seconds: int) -> str:
    """A duration in one unit."""
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{max(seconds, 0)} s"


def format_instant(at: int) -> str:
    """Return an instant in UTC, to the second (RFC 3339)."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def show_instant(at: int) -> str:
    """Return an instant in UTC, to the second, for people."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
