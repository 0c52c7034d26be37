"""The Celery app, so that `celery -A warmer` finds it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, import_modules, setup_logging

from warmer.broker.start_check import exit_if_wrong_server
from warmer.broker.transport import EagerConnection
from warmer.log_line import format_json
from warmer.observe.logs import configure_logging
from warmer.settings import load_settings_or_exit
from warmer.sources import IS_CLONE, ignore_service_links

ignore_service_links()  # before Flower reads its variables
app = Celery("warmer", include=["warmer.worker.tasks"], events="warmer.worker.events:Events")
app.config_from_object("celeryconfig" if IS_CLONE else "avatar_warmer.celeryconfig")
app.amqp.Connection = EagerConnection


@setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    configure_logging(load_settings_or_exit())


@celeryd_init.connect
def _log_from_the_start(**_: Any) -> None:
    """A worker warns of root before it sets up logging, and prints that it shuts down."""
    settings = load_settings_or_exit()
    configure_logging(settings)
    if settings.log_format == "json":
        from celery.apps import worker  # a worker has loaded it, the web tier does not need it

        worker.safe_say = _say_as_json  # type: ignore[attr-defined]  # celery-types does not know it


def _say_as_json(message: str, _file: object = None) -> None:
    """Write a line in a signal handler, where the log may be locked."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{format_json('INFO', 'celery.apps.worker', message)}\n".encode())


@import_modules.connect
def _refuse_wrong_servers(**_: Any) -> None:
    """Celery's programs, Flower among them, send this at their start; a web process that publishes does not."""
    exit_if_wrong_server(load_settings_or_exit())
