"""The Celery app, so that `celery -A warmer` finds it."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from warmer.broker.transport import EagerConnection
from warmer.observe.logs import configure_logging
from warmer.settings import load_settings_or_exit
from warmer.sources import ignore_service_links

ignore_service_links()  # before Flower reads its variables
app = Celery("warmer", include=["warmer.worker.tasks"], events="warmer.worker.events:Events")
app.config_from_object("celeryconfig")
app.amqp.Connection = EagerConnection


@setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    configure_logging(load_settings_or_exit())
