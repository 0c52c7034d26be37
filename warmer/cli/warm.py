"""`avatar-warmer warm`"""

from __future__ import annotations

import csv
import sys
import time
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from warmer.bulk import Bulk
from warmer.cli.common import as_json, echo_json, opened_workshop
from warmer.heartbeat import BEAT_SECONDS
from warmer.publish import BROKER_FAILED
from warmer.pulse import list_pulses
from warmer.rows import Row, read_rows
from warmer.wiring import Workshop

INTERRUPTED = 130  # exit status after Ctrl-C
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
    if (file is not None) == bool(names):
        raise click.UsageError("name ids or file ids, or --from-file, or -")
    source = file or (sys.stdin if names == ("-",) else None)
    try:
        rows, wrong = read_rows(source or names)
    except UnicodeDecodeError:
        raise click.UsageError("the file is not UTF-8") from None
    except csv.Error as error:
        raise click.UsageError(f"the file is not CSV: {error}") from None
    if wrong:
        raise click.UsageError("nothing was done:\n" + "\n".join(wrong))
    with opened_workshop() as shop:
        try:
            shop.publisher.count_waiting("warm")
        except BROKER_FAILED as error:
            raise click.ClickException(f"the broker is away ({type(error).__name__})") from None
        if not no_wait:
            require_worker(shop)
        bulk = Bulk(shop)
        is_interrupted = show_progress(bulk, rows, not no_wait, is_silent=is_json)
    show_summary(bulk, len(rows), is_interrupted, is_json)
    if is_interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def require_worker(shop: Workshop) -> None:
    """Raise ClickException unless a worker says, within its heartbeat, that it is there."""
    end = time.monotonic() + BEAT_SECONDS + 1
    while not list_pulses(shop.redis, shop.keys):
        if time.monotonic() > end:
            raise click.ClickException("no worker is alive to wait for: start one, or ask with --no-wait")
        time.sleep(0.2)


def show_progress(bulk: Bulk, rows: list[Row], waits: bool, *, is_silent: bool) -> bool:
    """Warm, with a bar on stderr; whether Ctrl-C ended it."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=is_silent) as progress:
        task = progress.add_task("", total=len(rows), told="")
        try:
            for settled in bulk.warm(rows, waits=waits):
                speed = progress.tasks[task].speed or 0.0
                told = ", ".join(f"{bulk.counts[status]} {status}" for status in COUNTED)
                progress.update(task, completed=settled, told=f"{told}, {speed:.1f}/s")
        except KeyboardInterrupt:
            return True
    return False


def show_summary(bulk: Bulk, rows: int, is_interrupted: bool, is_json: bool) -> None:
    """What became of the rows."""
    counts = {status: bulk.counts[status] for status in COUNTED}
    if is_json:
        echo_json({"rows": rows, **counts, "causes": dict(bulk.causes), "interrupted": is_interrupted})
        return
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    is_asked_only = rows > 0 and not any(counts.values())
    click.echo(f"{rows} row{'' if rows == 1 else 's'}: {'asked for' if is_asked_only else told}.")
    for cause, number in bulk.causes.most_common():
        click.echo(f"  unavailable, {cause}: {number}")
    if is_interrupted:
        click.echo("Interrupted. What was asked for goes on in the workers; run it again for the rest.", err=True)
