"""The command `scripts/capacity`: plans a deployment; its subcommands measure the figures behind the plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from planning import page
from planning.costs import FILE, load_costs, save_costs
from planning.inputs import BadInput, Inputs, read_inputs
from planning.model import make_plan
from planning.sensitivity import rank_inputs
from planning.table import print_plan
from runner.terminal import StartFailed
from warmer.errors import ConfigError


def _add_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each assumption, in their order."""
    for name, field in reversed(Inputs.model_fields.items()):
        option = "--" + name.replace("_", "-")
        text = f"{field.description} (default: {field.default:g})"
        command = click.option(option, name, type=str, metavar="NUMBER", help=text)(command)
    return command


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_add_options
@click.pass_context
def main(context: click.Context, /, *, as_json: bool, **given: str | None) -> None:
    """Plan a deployment: scripts/capacity --partners 1000000."""
    if context.invoked_subcommand:
        return
    try:
        inputs = read_inputs(**{name: value for name, value in given.items() if value is not None})
    except BadInput as error:
        raise click.ClickException(str(error)) from None
    costs = load_costs()
    plan, influences = make_plan(inputs, costs), rank_inputs(inputs, costs)
    if as_json:
        record: dict[str, Any] = {"inputs": inputs.model_dump(), "plan": asdict(plan)}
        click.echo(json.dumps(record | {"influences": [asdict(one) for one in influences]}, indent=1))
    else:
        print_plan(plan, inputs, influences, Console())


@main.command()
def measure() -> None:
    """Measure the costs of hits, misses and warmings on this machine, and write docs/scaling/costs.json."""
    from planning.measure import measure_costs  # runs a whole service, which a plan does not need

    save_costs(measure_costs(click.echo))
    page.rewrite()
    click.echo(f"Written: {FILE}, docs/scaling.md")


@main.command()
def scale_out() -> None:
    """Measure 1, 2 and 4 processes, for three minutes. Needs wrk and two idle cores."""
    from benches import load, report, scale_out, tools  # runs a whole service, which a plan does not need

    try:
        tools.prepare(click.echo)
        report.write_measurements(page.CLUSTER, scale_out.ROUNDS, scale_out.measure(click.echo))
    except (StartFailed, TimeoutError, load.BrokenRound) as error:
        raise click.ClickException(str(error)) from None
    page.rewrite()
    click.echo(f"Written: {page.CLUSTER}, docs/scaling.md")


@main.command()
def memory() -> None:
    """Measure the Redis memory per partner of the service that runs in this folder."""
    from planning.sizing import list_sizes  # loads the service's parts, which a plan does not need

    try:
        for line in list_sizes():
            click.echo(line)
    except ConfigError as error:
        raise click.ClickException(f"{error} (is the service running?)") from None
    except BadInput as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
