"""The Celery app, so that `celery -A warmer` finds it."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from warmer.broker import EagerConnection
from warmer.logs import configure_logging
from warmer.settings import load_settings_or_exit

app = Celery("warmer", include=["warmer.tasks"], events="warmer.events:Events")
app.config_from_object("celeryconfig")
app.amqp.Connection = EagerConnection


@setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    configure_logging(load_settings_or_exit())
