"""The command `scripts/simulate`: play the scenarios, or hold the simulation to the running service."""

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
from planning.simulation import SEED, play

FILE = FOLDER / "scenarios.json"


@click.command()
@click.option("--check", is_flag=True, help="Compare with the running service instead: three minutes.")
@click.argument("names", nargs=-1)
def main(*, check: bool, names: tuple[str, ...]) -> None:
    """Play the scenarios, or those that are named; all together write docs/scaling and docs/scaling.md."""
    if check:
        sys.exit(_check())
    scenarios = list_scenarios(load_costs())
    if unknown := set(names) - {scenario.name for scenario in scenarios}:
        raise click.BadParameter(f"no scenario is named {unknown.pop()!r}", param_hint="NAMES")
    record = {one.name: _play(one, is_drawn=not names) for one in scenarios if not names or one.name in names}
    if not names:
        whole = {"seed": SEED, "inputs": list_inputs().model_dump(), "scenarios": record}
        FILE.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
        page.rewrite()
        click.echo(f"Written: {FILE}, its pictures, docs/scaling.md")


def _play(scenario: Scenario, *, is_drawn: bool) -> dict[str, Any]:
    """Every run of a scenario; what they come to."""
    click.echo(f"{scenario.title}…")
    ledgers, outcomes = {}, {}
    for name, setup in scenario.list_runs().items():
        ledgers[name] = play(setup)
        outcomes[name] = sum_up(setup, ledgers[name])
        served = f"{outcomes[name].served_share:.1%} of the misses served"
        click.echo(f"  {name}: breaks first: {outcomes[name].broke_first}; {served}")
    if is_drawn:
        draw(scenario.title, ledgers, FOLDER / f"{scenario.name}.png")
    runs = {
        name: asdict(outcomes[name]) | {"changed": scenario.base.list_changes(setup)}
        for name, setup in scenario.list_runs().items()
    }
    return {"title": scenario.title, "base": asdict(scenario.base), "runs": runs}


def _check() -> int:
    """The exit status: 1 where a figure is too far off."""
    found = checking.check(load_costs(), click.echo)
    for one in found:
        click.echo(checking.show(one))
    checking.save(found)
    page.rewrite()
    return int(not all(one.holds() for one in found))


if __name__ == "__main__":
    main()
