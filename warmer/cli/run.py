"""`avatar-warmer run`"""

from __future__ import annotations

import os
import sys

import click

from warmer.cli.common import as_json, echo_json
from warmer.sources import FOLDER, IS_CLONE, PROJECT


@click.command()
@as_json
def run(is_json: bool) -> None:
    """Start the whole service, as scripts/run does; Ctrl-C stops it.

    In a clone its folder holds .env and DATA_DIR. Elsewhere the current folder does.

    \b
    Example:
      avatar-warmer run
    """
    program = PROJECT / "scripts" / "runner"
    if not program.is_dir():
        raise click.ClickException("there is no scripts/runner: install the wheel, or use a clone of the project")
    if is_json:
        echo_json({"starts": str(program)})
    sys.stdout.flush()
    if not IS_CLONE:
        os.environ[FOLDER] = os.getcwd()  # noqa: PTH109 - a text
    os.chdir(PROJECT)  # its configuration files are read there, and no module of the current folder hides ours
    os.execv(sys.executable, [sys.executable, str(program)])  # noqa: S606 - no shell wanted
