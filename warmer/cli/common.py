"""Shared by the commands: the worker context, one-line errors, and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import click
from redis.exceptions import NoPermissionError, RedisError

from warmer.broker.start_check import check_servers
from warmer.cli.running_services import describe_services
from warmer.errors import ConfigError, SettingMissing
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import parse_user_id
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings
from warmer.sources import IS_CLONE, PROJECT
from warmer.wiring import WorkerContext, open_worker_context

as_json = click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")


@contextmanager
def opened_worker_context(
    check: Callable[[Settings], object] = lambda settings: check_servers(settings, "REDIS_URL"),
    failure: type[click.ClickException] = click.ClickException,
) -> Iterator[WorkerContext]:
    """The worker context of the service. A failure ends the command with one line.

    Names the bot on a terminal, and everywhere if a file of the folder chooses it rather than the environment.
    `check` looks at the servers before anything else does. Without a broker most commands do all their work.
    """
    settings = load_service_settings(failure)
    if sys.stderr.isatty() or not os.environ.get("TELEGRAM_BOT_TOKEN"):
        click.echo(f"Bot {settings.bot_id}.", err=True)
    try:
        check(settings)
        with closing(open_worker_context(settings, connect_worker(settings))) as context:
            yield context
    except ConfigError as error:
        raise failure(str(error)) from None
    except RedisError as error:
        raise failure(format_outage(error)) from None


def load_service_settings(failure: type[click.ClickException] = click.ClickException) -> Settings:
    """The settings of the service: in a clone those of its folder, else those of the current one.

    If one is missing, the error says where it was looked for and which service runs elsewhere.
    """
    if IS_CLONE:
        os.chdir(PROJECT)  # where .env and DATA_DIR are, as for scripts/run
    try:
        return load_settings()
    except SettingMissing as error:
        raise failure(f"{error}{describe_services()}") from None
    except ConfigError as error:
        raise failure(str(error)) from None


def format_outage(error: RedisError) -> str:
    """The message for a Redis that does not answer. The error's own text may contain a URL."""
    if isinstance(error, NoPermissionError):
        return f"Redis denies a right: {error} (see avatar-warmer diagnose)"
    return f"Redis is away ({type(error).__name__}; is the service running?)"


def parse_ids(texts: Sequence[str]) -> list[int]:
    """The ids. Raises a usage error that names every malformed one."""
    ids = [parse_user_id(text) for text in texts]
    if wrong := [text for text, number in zip(texts, ids, strict=True) if number is None]:
        raise click.UsageError("not an id: " + ", ".join(wrong))
    return [number for number in ids if number is not None]


def end_when_acknowledged(context: WorkerContext, answer: dict[str, Any], told: str, *, is_json: bool) -> None:
    """Wait until every web process has seen the purge, and print the result. Fails if one has not."""
    is_acknowledged = wait_for_acknowledgements(context.redis, context.keys)
    if is_json:
        echo_json({**answer, "acknowledged": is_acknowledged})
    elif is_acknowledged:
        click.echo(told)
    if not is_acknowledged:
        raise click.ClickException("done, but a web process may still show it: repeat the command")


def count(number: int, what: str) -> str:
    """A number with its noun: `1 row`, `2 rows`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def echo_json(answer: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(answer, ensure_ascii=False))


class CannotAsk(click.ClickException):
    """The command could not ask, so it knows of nothing wrong."""

    exit_code = 2
