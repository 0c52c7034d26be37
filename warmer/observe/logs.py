"""Logging, the same in every process: one line an event, as text or JSON, and never the bot token."""

from __future__ import annotations

import logging
import logging.config
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from warmer.request_id import get_request_id
from warmer.settings import Settings

log = logging.getLogger(__name__)
_ORDINARY = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


class RedactFilter(logging.Filter):
    """The second belt: redacts the token in whatever a library might log, tracebacks and extra fields included."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self.redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = self.redact(record.exc_text), None  # JSON would format it anew
        record.msg, record.args = self.redact(_message_of(record)), None
        for name in vars(record).keys() - _ORDINARY:  # what JSON lines show beside the message
            setattr(record, name, self._redact_all(getattr(record, name)))
        return True

    def _redact_all(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._redact_all(key): self._redact_all(one) for key, one in value.items()}
        if isinstance(value, list | tuple | set):
            return [self._redact_all(one) for one in value]
        return value if isinstance(value, int | float | None) else self.redact(str(value))


class RequestIdFilter(logging.Filter):
    """Adds the id of the request that the thread works for; the JSON format shows it as `request_id`."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (request_id := get_request_id()) and not hasattr(record, "request_id"):
            record.request_id = request_id
        return True


class Line(NamedTuple):
    """A line of something that happened a moment ago, for a request."""

    at: float  # Unix time
    message: str
    request_id: str
    to_fields: Callable[[], Mapping[str, Any]]  # further fields of the JSON format


class TextFormatter(logging.Formatter):
    """The lines of the text format."""

    def format(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", "")
        line = format_line(record.created, record.levelname, record.name, record.getMessage(), request_id)
        return "\n".join(filter(None, (line, record.exc_text)))  # the filter has spelled out the exception


def format_line(at: float, level: str, name: str, message: str, request_id: str = "") -> str:
    """One line of text; `at` in Unix time."""
    end = f" [{request_id}]" if request_id else ""
    return f"{_format_second(int(at))},{int(at * 1000) % 1000:03d} {level} {name}: {message}{end}"


@lru_cache(maxsize=2)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def make_record(log: logging.Logger, level: int, line: Line) -> logging.LogRecord:
    """A record of this line."""
    fields = {"request_id": line.request_id, **line.to_fields()}
    record = log.makeRecord(log.name, level, "", 0, line.message, (), None, extra=fields)
    record.created, record.msecs = line.at, line.at % 1 * 1000
    return record


class LineHandler(logging.StreamHandler[TextIO]):
    """To stderr; many lines at once where there are many."""

    def write_all(self, log: logging.Logger, level: int, lines: Sequence[Line]) -> None:
        """Write these lines; as text they need no records, which cost five times as much as the lines."""
        if not isinstance(self.formatter, TextFormatter):
            for line in lines:
                self.handle(make_record(log, level, line))
            return
        name = logging.getLevelName(level)
        text = "".join([f"{format_line(at, name, log.name, message, id)}\n" for at, message, id, _ in lines])
        for belt in self.filters:
            if isinstance(belt, RedactFilter):
                text = belt.redact(text)
        try:
            with self.lock or nullcontext():
                self.stream.write(text)
                self.flush()
        except (OSError, ValueError):  # a closed or broken stream: as every handler does
            self.handleError(make_record(log, level, lines[0]))


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
        "filters": {"numbering": {"()": RequestIdFilter}, "redacting": {"()": RedactFilter, "redact": settings.redact}},
        "formatters": {"line": formatters[settings.log_format]},
        "handlers": {"stderr": {"()": LineHandler, "formatter": "line", "filters": ["numbering", "redacting"]}},
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
    log_strays(settings)


def log_strays(settings: Settings) -> None:
    """Log Python's warnings, and as JSON also the exceptions that end the process or a thread."""
    logging.captureWarnings(True)
    if settings.log_format == "json":
        sys.excepthook = _log_last
        threading.excepthook = lambda args: _log_last(args.exc_type, args.exc_value, args.exc_traceback)


def _log_last(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, SystemExit):
        log.critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))
