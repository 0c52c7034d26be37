"""`avatar-warmer warm`"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from warmer.broker.start_check import check_servers
from warmer.cli import INTERRUPTED, is_interruption
from warmer.cli.bulk import BulkWarming
from warmer.cli.common import as_json, count, echo_json, format_outage, opened_worker_context
from warmer.cli.monitor import WorkerMonitor
from warmer.cli.rows import Row, read_rows
from warmer.errors import Stuck
from warmer.wiring import WorkerContext

COUNTED = ("ready", "unavailable", "none")


@click.command()
@click.argument("names", nargs=-1, metavar="[FILE_ID|ID|-]...")
@click.option("--from-file", "file", type=click.File(encoding="utf-8"), help="CSV; - is stdin.")
@click.option("--no-wait", is_flag=True, help="Ask, and end.")
@as_json
def warm(names: tuple[str, ...], file: TextIO | None, no_wait: bool, is_json: bool) -> None:
    """Warm pictures by id or file id; a row with a name registers a partner. Put -- before negative ids.

    \b
    Examples:
      avatar-warmer warm 42 43
      avatar-warmer warm --from-file users.csv
      cut -d, -f1 users.csv | avatar-warmer warm -
    """
    run_bulk(BulkWarming, read_given(names, file), waits=not no_wait, is_json=is_json)


def read_given(names: Sequence[str], file: TextIO | None, *, what: str = "ids or file ids") -> list[Row]:
    """The rows of the arguments, of the file or of stdin. Raises a usage error that names every wrong field."""
    if (file is not None) == bool(names):
        raise click.UsageError(f"name {what}, or --from-file, or -")
    source = file or (sys.stdin if tuple(names) == ("-",) else None)
    try:
        rows, wrong = read_rows(source or names)
    except UnicodeDecodeError:
        raise click.UsageError("the file is not UTF-8") from None
    except csv.Error as error:
        raise click.UsageError(f"the file is not CSV: {error}") from None
    if wrong:
        raise click.UsageError("nothing was done: " + "; ".join(wrong))
    return rows


def run_bulk(kind: Callable[[WorkerContext], BulkWarming], rows: list[Row], *, waits: bool, is_json: bool) -> None:
    """Work on all rows, and print how they ended. A failure says how many rows were settled before."""
    with opened_worker_context(check_servers) as context:
        bulk = kind(context)
        try:
            is_interrupted = warm_all(
                bulk, WorkerMonitor(context, waits=waits), rows, Console(stderr=True, quiet=is_json)
            )
        except (Stuck, RedisError) as error:
            reason = format_outage(error) if isinstance(error, RedisError) else str(error)
            done = f"{bulk.settled} of {count(len(rows), 'row')} {'settled' if waits else 'asked for'}"
            raise click.ClickException(f"{reason}: {done}, repeat the command to go on") from None
    show_summary(bulk, len(rows), is_interrupted, is_json)
    if is_interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def warm_all(bulk: BulkWarming, monitor: WorkerMonitor, rows: list[Row], console: Console) -> bool:
    """Warm, with a progress bar on a terminal. Returns True if Ctrl-C ended it. Raises Stuck and RedisError."""
    monitor.require()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console.quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=len(rows), told="")
        try:
            for settled in bulk.warm(rows, waits=monitor.waits):
                counts = ", ".join(f"{bulk.counts[status]} {status}" for status in COUNTED)
                is_over = settled == len(rows) and monitor.waits
                told = "" if is_over else monitor.find_obstacle()
                told = told or f"{counts}, {progress.tasks[task].speed or 0:.1f}/s"
                progress.update(task, completed=settled, told=told)
        except (KeyboardInterrupt, Exception) as error:
            if is_interruption(error):
                return True
            raise
    return False


def show_summary(bulk: BulkWarming, rows: int, is_interrupted: bool, is_json: bool) -> None:
    """The outcomes of the rows."""
    counts = {status: bulk.counts[status] for status in COUNTED}
    if is_json:
        echo_json({"rows": rows, **counts, "causes": dict(bulk.causes), "interrupted": is_interrupted})
    else:
        told = ", ".join(f"{number} {status}" for status, number in counts.items())
        is_asked_only = rows > 0 and not any(counts.values())
        click.echo(f"{count(rows, 'row')}: {'asked for' if is_asked_only else told}.")
        for cause, number in bulk.causes.most_common():
            click.echo(f"  unavailable, {cause}: {number}")
    if is_interrupted:
        click.echo("Interrupted. What was asked for goes on in the workers; run it again for the rest.", err=True)
