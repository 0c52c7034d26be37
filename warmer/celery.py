"""The Celery app, so that `celery -A warmer` finds it."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import import_modules, setup_logging

from warmer.broker.start_check import exit_if_wrong_server
from warmer.broker.transport import EagerConnection
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


@import_modules.connect
def _refuse_wrong_servers(**_: Any) -> None:
    """Celery's programs, Flower among them, send this at their start; a web process that publishes does not."""
    exit_if_wrong_server(load_settings_or_exit())
