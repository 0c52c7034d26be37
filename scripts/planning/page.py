"""Writes the tables of docs/scaling.md between their marks, from the files that the scripts write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benches.results import show_number as show
from planning.costs import FOLDER, ROOT, Costs, Work, load_costs
from planning.inputs import Inputs, read_inputs
from planning.model import make_plan
from planning.sensitivity import rank_inputs
from planning.table import describe, list_lines
from planning.timeline import REFUSALS
from planning.trial import FIGURES

PAGE = ROOT / "docs" / "scaling.md"
CLUSTER = FOLDER / "cluster.json"
SIZES: dict[str, dict[str, Any]] = {
    "10 k": {"partners": 10_000},
    "100 k": {"partners": 100_000},
    "1 M": {"partners": 1_000_000},
    "10 M": {"partners": 10_000_000},
    "10 M, 30 days": {"partners": 10_000_000, "photo_ttl": 30 * 86_400},
}
WORKS = {
    "cache_hit": "a hit from the response cache",
    "redis_hit": "a hit from Redis",
    "miss": "a miss, web tier's part",
    "warming": "a warming",
    "tick": "a subject that is due",
    "listing": "the list of the newest",
    "idle": "a second without requests",
}


def rewrite() -> None:
    """Write every table."""
    PAGE.write_text(fill(PAGE.read_text("utf-8")), "utf-8")


def fill(text: str) -> str:
    """The page with its tables; raises ValueError if a table's marks are missing."""
    for name, table in list_tables().items():
        block = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        if not block.search(text):
            raise ValueError(f"docs/scaling.md has no <!-- {name} --> block")
        text = block.sub(lambda _, table=table: table, text)  # type: ignore[misc]  # bound now
    return text


def list_tables() -> dict[str, str]:
    """Each table in Markdown by the name of its marks."""
    costs, influences = load_costs(), rank_inputs(read_inputs(**SIZES["1 M"]), load_costs())
    scenarios, check, cluster = (
        json.loads(file.read_text("utf-8")) for file in (FOLDER / "scenarios.json", FOLDER / "check.json", CLUSTER)
    )
    tables = {"costs": _show_costs(costs), "sizes": _show_plans(costs), "assumptions": _show_inputs()}
    tables["influences"] = "".join(f"{place}. {describe(one)}\n" for place, one in enumerate(influences, 1))
    tables |= {"check": _show_check(check), "cluster": _show_cluster(cluster)}
    return tables | {name: _show_runs(one["runs"]) for name, one in scenarios["scenarios"].items()}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _show_costs(costs: Costs) -> str:
    rows = []
    for name, title in WORKS.items():
        work: Work = getattr(costs, name)
        figures = (work.web_us, work.worker_us, work.redis_us, work.commands, work.redis_bytes_out, work.redis_bytes_in)
        rows.append([title, *(show(figure) if figure else "–" for figure in figures)])
    head = ["", "web µs", "workers µs", "Redis µs", "commands", "bytes from Redis", "bytes to Redis"]
    memory = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in asdict(costs.memory).items())
    return f"{_table(head, rows)}\nBytes of Redis memory: {memory}. On {costs.machine['processor']}.\n"


def _show_plans(costs: Costs) -> str:
    """A column per size, and a row per figure."""
    inputs = [read_inputs(**options) for options in SIZES.values()]
    plans = [make_plan(given, costs) for given in inputs]
    columns = [list_lines(plan, given) for plan, given in zip(plans, inputs, strict=True)]
    rows = [[lines[0][0], *(figure for _, figure, _ in lines)] for lines in zip(*columns, strict=True)]
    for title, name in (("TELEGRAM_RATE is enough", "is_rate_enough"), ("all can be warm at once", "can_all_be_warm")):
        rows.append([title, *("yes" if getattr(plan, name) else "**no**" for plan in plans)])
    return _table(["partners", *SIZES], rows)


def _show_inputs() -> str:
    rows = [
        [f"`--{name.replace('_', '-')}`", str(field.description), f"{field.default:,g}"]
        for name, field in Inputs.model_fields.items()
    ]
    return _table(["option", "meaning", "default"], rows).replace("---:", "---", 1)


def _show_runs(runs: Mapping[str, Any]) -> str:
    rows, causes = [], {str(name): text for name, text in REFUSALS.items()}
    for name, run in runs.items():
        most = max(run["refused"], key=lambda cause: run["refused"][cause], default="")
        rows.append([
            name,
            run["broke_first"],
            f"{causes[most]} ({run['refused'][most]:,})" if most else "–",
            f"{run['served_share']:.1%} of {run['misses']:,}",
            f"{run['wait_p50']:.2f} / {run['wait_p99']:.2f} s",
            f"{run['hit_ratio_low']:.1%} → {run['hit_ratio_end']:.1%}",
            f"{run['calls_per_second']:.1f}",
        ])  # fmt: skip
    head = ["run", "breaks first", "most frequent refusal", "misses served", "wait p50 / p99", "hit ratio, low → end"]
    return _table([*head, "getFile /s"], rows)


def _show_check(check: Mapping[str, Any]) -> str:
    rows = [
        [FIGURES[one["figure"]], f"{one['real']:.3g}", f"{one['simulated']:.3g}", f"{one['difference']:+.0%}",
         "holds" if one["holds"] else "**MISS**"]
        for one in check["figures"]
    ]  # fmt: skip
    return _table(["figure", "service", "simulation", "difference", f"within {check['allowed']:.0%}"], rows)


def _show_cluster(record: Mapping[str, Any]) -> str:
    """A row per kind of work and number of processes; rates are relative to one process on the same Redis."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for one in record["measurements"]:
        found.setdefault((one["work"], one["who"]), {})[one["figure"]] = one["value"]
    rows = []
    for (work, who), figures in found.items():
        alone = found[work, f"1 {who.split(maxsplit=1)[1]}"]["a second"]
        shares = [f"{figures[kind]:.0%}" for kind in ("web", "workers", "Redis")]
        rows.append([f"{work}, {who}", f"{figures['a second']:,.0f}", f"{figures['a second'] / alone:.2f} ×", *shares])
    return _table(["work, processes of each kind", "per second", "relative to 1", "web", "workers", "Redis"], rows)
