"""The command `avatar-warmer`: one module a command, thin over the parts of `warmer`."""

from __future__ import annotations

import click

from warmer.cli.diagnose import diagnose
from warmer.cli.export import export
from warmer.cli.forget import forget
from warmer.cli.purge import purge
from warmer.cli.run import run
from warmer.cli.status import status
from warmer.cli.warm import warm


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="avatar-warmer")
def main() -> None:
    """Telegram profile pictures, warm before anyone asks."""


for command in (run, warm, status, export, forget, purge, diagnose):
    main.add_command(command)
