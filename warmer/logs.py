"""Logging, the same in every process: one line an event, as text or JSON, and never the bot token."""

from __future__ import annotations

import logging
import logging.config
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, TextIO

from warmer.settings import Settings

_ORDINARY = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


class Concealing(logging.Filter):
    """The second belt: conceals the token in whatever a library might log, tracebacks and extra fields included."""

    def __init__(self, conceal: Callable[[str], str]) -> None:
        super().__init__()
        self.conceal = conceal

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = self.conceal(record.exc_text), None  # JSON would format it anew
        record.msg, record.args = self.conceal(_message_of(record)), None
        for name in vars(record).keys() - _ORDINARY:  # what JSON lines show beside the message
            setattr(record, name, self._conceal_all(getattr(record, name)))
        return True

    def _conceal_all(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._conceal_all(key): self._conceal_all(one) for key, one in value.items()}
        if isinstance(value, list | tuple | set):
            return [self._conceal_all(one) for one in value]
        return value if isinstance(value, int | float | None) else self.conceal(str(value))


class TextFormatter(logging.Formatter):
    """The lines of the text format."""

    def format(self, record: logging.LogRecord) -> str:
        line = spell_line(record.created, record.levelname, record.name, record.getMessage())
        return "\n".join(filter(None, (line, record.exc_text)))  # the filter has spelled out the exception


def spell_line(at: float, level: str, name: str, message: str) -> str:
    """One line of text; `at` in Unix time."""
    return f"{_spell_second(int(at))},{int(at * 1000) % 1000:03d} {level} {name}: {message}"


@lru_cache(maxsize=2)
def _spell_second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def make_record(log: logging.Logger, level: int, at: float, message: str) -> logging.LogRecord:
    """A record of something that happened a moment ago; `at` in Unix time."""
    record = log.makeRecord(log.name, level, "", 0, message, (), None)
    record.created, record.msecs = at, at % 1 * 1000
    return record


class LineHandler(logging.StreamHandler[TextIO]):
    """To stderr; many lines at once where there are many."""

    def write_all(self, log: logging.Logger, level: int, messages: Iterable[tuple[float, str]]) -> None:
        """Write a line for each message, with the instant (Unix time) it is of.

        As text they need no records, which cost five times as much as the lines.
        """
        if not isinstance(self.formatter, TextFormatter):
            for at, message in messages:
                self.handle(make_record(log, level, at, message))
            return
        name = logging.getLevelName(level)
        lines = "".join([f"{spell_line(at, name, log.name, message)}\n" for at, message in messages])
        for belt in self.filters:
            if isinstance(belt, Concealing):
                lines = belt.conceal(lines)
        try:
            with self.lock or nullcontext():
                self.stream.write(lines)
                self.flush()
        except (OSError, ValueError):  # a closed or broken stream: as every handler does
            self.handleError(make_record(log, level, time.time(), "lines"))


def _message_of(record: logging.LogRecord) -> str:
    """The message; a call with the wrong arguments is logged as it is, instead of failing where it was made."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, IndexError):
        return f"{record.msg} {record.args!r}"


def logging_config(settings: Settings) -> dict[str, Any]:
    """The dictConfig of every process.

    urllib3 stays at WARNING: its DEBUG lines hold the URL, and the URL holds the token.
    """
    formatters = {
        "text": {"()": TextFormatter},
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
            "stderr": {"()": LineHandler, "formatter": "line", "filters": ["concealing"]},
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
