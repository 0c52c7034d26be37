"""`avatar-warmer run`"""

from __future__ import annotations

import os
import sys

import click

from warmer.cli.common import as_json, echo_json
from warmer.sources import FOLDER, IS_CLONE, PROJECT, find_folder


@click.command()
@click.argument("name", required=False)
@as_json
def run(name: str | None, is_json: bool) -> None:
    """Start the whole service, as scripts/run does; Ctrl-C stops it.

    .env and DATA_DIR are in the clone, or, installed from a wheel, in the current folder.

    With the NAME of a line of the Procfile, only that process runs. This is for a supervisor of your own: it needs
    all settings and makes none.

    \b
    Examples:
      avatar-warmer run
      avatar-warmer run web
    """
    program = PROJECT / "scripts" / "runner"
    if not program.is_dir():
        raise click.ClickException("there is no scripts/runner: install the wheel, or use a clone of the project")
    if is_json:
        echo_json({"starts": str(program)})
    sys.stdout.flush()
    if not IS_CLONE:
        os.environ[FOLDER] = str(find_folder().resolve())
    os.chdir(PROJECT)  # its configuration files are read there, and no module of the current folder hides ours
    words = [sys.executable, str(program), *([name] if name else [])]
    os.execv(sys.executable, words)  # noqa: S606 - no shell wanted
