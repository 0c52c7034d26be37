"""The Celery app, so that `celery -A warmer` finds it."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import Connection

from warmer.logs import configure_logging
from warmer.settings import load_settings_or_exit


class EagerConnection(Connection):
    """A connection that comes back soon after its broker does.

    Celery's consumer backs off up to 30 s and takes no setting for it: after 20 s without a broker a worker was
    9 to 10 s late. Half a second to a second costs nothing and ends that.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(interval_start=0.5, interval_step=0.5, interval_max=1)
        return super().ensure_connection(*args, **kwargs)


app = Celery("warmer", include=["warmer.tasks"])
app.config_from_object("celeryconfig")
app.amqp.Connection = EagerConnection


@setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    configure_logging(load_settings_or_exit())
