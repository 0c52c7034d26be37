"""`avatar-warmer run`"""

from __future__ import annotations

import os
import sys

import click

from warmer.cli.common import PROJECT, as_json, echo_json


@click.command()
@as_json
def run(is_json: bool) -> None:
    """Start the whole service, as scripts/run does; Ctrl-C stops it.

    \b
    Example:
      avatar-warmer run
    """
    program = PROJECT / "scripts" / "runner"
    if not program.is_dir():
        raise click.ClickException("there is no scripts/runner: this is not a clone of the project")
    if is_json:
        echo_json({"starts": str(program)})
    sys.stdout.flush()
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, str(program)])  # noqa: S606 - no shell wanted
