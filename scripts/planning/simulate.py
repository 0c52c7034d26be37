"""The command `scripts/simulate`: runs the scenarios, or compares the simulation with the running service."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from planning import check as checking
from planning import page
from planning.costs import FOLDER, load_costs
from planning.draw import draw
from planning.scenarios import Scenario, list_inputs, list_scenarios, sum_up
from planning.simulation import SEED, run_simulation

FILE = FOLDER / "scenarios.json"


@click.command()
@click.option("--check", is_flag=True, help="Compare with the running service instead, in three minutes.")
@click.argument("names", nargs=-1)
def main(*, check: bool, names: tuple[str, ...]) -> None:
    """Run the scenarios, all or the named ones; a run of all writes docs/scaling and docs/scaling.md."""
    if check:
        sys.exit(_check())
    scenarios = list_scenarios(load_costs())
    if unknown := set(names) - {scenario.name for scenario in scenarios}:
        raise click.BadParameter(f"no scenario is named {unknown.pop()!r}", param_hint="NAMES")
    record = {one.name: _run_scenario(one, is_drawn=not names) for one in scenarios if not names or one.name in names}
    if not names:
        whole = {"seed": SEED, "inputs": list_inputs().model_dump(), "scenarios": record}
        FILE.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
        page.rewrite()
        click.echo(f"Written: {FILE}, its pictures, docs/scaling.md")


def _run_scenario(scenario: Scenario, *, is_drawn: bool) -> dict[str, Any]:
    """Run a scenario with each of its settings; the results as JSON."""
    click.echo(f"{scenario.title}…")
    timelines, outcomes = {}, {}
    for name, setup in scenario.list_runs().items():
        timelines[name] = run_simulation(setup)
        outcomes[name] = sum_up(setup, timelines[name])
        served = f"{outcomes[name].served_share:.1%} of the misses served"
        click.echo(f"  {name}: breaks first: {outcomes[name].broke_first}; {served}")
    if is_drawn:
        draw(scenario.title, timelines, FOLDER / f"{scenario.name}.png")
    return {"title": scenario.title, "runs": {name: asdict(outcome) for name, outcome in outcomes.items()}}


def _check() -> int:
    """The exit status: 1 if a figure differs too much."""
    found = checking.check(load_costs(), click.echo)
    for one in found:
        click.echo(checking.show(one))
    checking.save(found)
    page.rewrite()
    return int(not all(one.holds() for one in found))


if __name__ == "__main__":
    main()
