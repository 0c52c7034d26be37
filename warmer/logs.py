"""Logging, the same in every process: one line an event, as text or JSON, and never the bot token."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable
from typing import Any

from warmer.settings import Settings


class Concealing(logging.Filter):
    """The second belt: conceals the token in whatever a library might log, tracebacks included."""

    def __init__(self, conceal: Callable[[str], str]) -> None:
        super().__init__()
        self.conceal = conceal

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.conceal(record.exc_text)
        record.msg, record.args = self.conceal(record.getMessage()), None
        return True


def logging_config(settings: Settings) -> dict[str, Any]:
    """The dictConfig of every process.

    urllib3 stays at WARNING: its DEBUG lines hold the URL, and the URL holds the token.
    """
    formatters = {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"concealing": {"()": Concealing, "conceal": settings.conceal}},
        "formatters": {"line": formatters[settings.log_format]},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["concealing"]},
        },
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {
            "urllib3": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},  # the worker logs one line a warming itself
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},  # a line every two seconds says nothing
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
    }


def configure_logging(settings: Settings) -> None:
    """Set up logging for this process."""
    logging.config.dictConfig(logging_config(settings))
