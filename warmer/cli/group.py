"""All commands. Their errors are one line each, click's own included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from warmer.cli import is_interruption, leave
from warmer.cli.diagnose import diagnose
from warmer.cli.export import export
from warmer.cli.forget import forget
from warmer.cli.init_data import init_data
from warmer.cli.keys import keys
from warmer.cli.purge import purge
from warmer.cli.refresh import refresh
from warmer.cli.run import run
from warmer.cli.settings import settings
from warmer.cli.warm import warm
from warmer.cli.webhook import webhook


class OneLineErrors(click.Group):
    """Says `Error: …` and no usage around it; Ctrl-C is one line, too, where no command knows better."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read what stands before the command's name."""
        with _in_one_line():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Read what stands behind it, and run it."""
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # the help, since no command was named
    except (KeyboardInterrupt, Exception) as error:
        if is_interruption(error):  # click would make two lines of it, and status 1
            leave()
        if not isinstance(error, click.ClickException):
            raise
        told = click.ClickException(" ".join(error.format_message().split()))
        told.exit_code = error.exit_code  # type: ignore[misc]  # of the class, for click; it reads that of the object
        raise told from None


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="avatar-warmer")
def group() -> None:
    """Telegram profile pictures, warm before anyone asks."""


for command in (run, settings, keys, warm, refresh, export, forget, purge, webhook, diagnose, init_data):
    group.add_command(command)
