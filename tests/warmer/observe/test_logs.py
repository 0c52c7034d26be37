"""Logs: one line per event, as text or JSON, never with the bot token."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import requests
import urllib3

from faketelegram import TEST_TOKEN, FakeTelegram
from warmer.observe.logs import configure_logging
from warmer.settings import Settings

URL = f"https://api.telegram.org/bot{TEST_TOKEN}/getMe"
Read = Callable[[], str]
log = logging.getLogger("tests.logs")


@pytest.fixture
def restored() -> Iterator[None]:
    """Restore the logging configuration afterwards."""
    root, names = logging.getLogger(), ("urllib3", "celery.app.trace", "gunicorn.error", "gunicorn.access")
    handlers, level = list(root.handlers), root.level
    levels = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    for name, (was, propagate) in levels.items():
        logging.getLogger(name).setLevel(was)
        logging.getLogger(name).propagate = propagate


def start(settings: Settings, log_format: str, log_level: str = "DEBUG") -> Read:
    """Configure logging. Returns a function that reads the output since then."""
    configure_logging(settings.model_copy(update={"log_level": log_level, "log_format": log_format}))
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written := StringIO())
    return written.getvalue


@pytest.fixture(params=["text", "json"])
def read(request: pytest.FixtureRequest, settings: Settings, restored: None) -> Read:
    """Reads the output at DEBUG, in both formats."""
    return start(settings, request.param)


@pytest.fixture
def read_json(settings: Settings, restored: None) -> Read:
    return start(settings, "json")


@pytest.fixture(autouse=True)
def _silence_other_apps(caplog: pytest.LogCaptureFixture) -> None:
    """Threads of other tests' apps may log at any time."""
    caplog.set_level(logging.CRITICAL + 1, logger="web")


def test_an_event_is_one_line(read: Read) -> None:
    log.info("🔥 %d photos", 4)
    (line,) = read().splitlines()
    assert "INFO" in line
    assert "4 photos" in line


@pytest.mark.parametrize("message", [URL, f"token {TEST_TOKEN}", URL.replace(":FAKE", "%3AFAKE")])
def test_the_token_is_redacted_in_a_message(read: Read, message: str) -> None:
    log.warning(message)
    log.warning("%s and %r", message, {"url": message})  # twice
    log.warning("%(url)s", {"url": message})
    written = read()
    assert TEST_TOKEN.partition(":")[2] not in written
    assert written.count("123456789:***") == 4


def test_the_token_is_redacted_in_a_traceback(read: Read) -> None:
    try:
        requests.get(URL.replace("https://api.telegram.org", "http://127.0.0.1:1"), timeout=1)
    except requests.ConnectionError:
        log.exception("a library failed")
    written = read()
    assert "ConnectionError" in written
    assert TEST_TOKEN not in written


def test_the_token_is_redacted_in_an_error_that_is_the_message(read: Read) -> None:
    log.error(ValueError(URL))
    log.error("%s", requests.ConnectionError(URL))
    assert TEST_TOKEN not in read()


def test_the_token_is_redacted_in_extra_fields(read: Read) -> None:
    log.warning("see", extra={"data": {"url": [URL, (URL,)], URL: 1}, "error": ValueError(URL), "count": 3})
    assert TEST_TOKEN not in read()


def test_a_call_with_wrong_arguments_is_logged_without_an_error(read: Read) -> None:
    log.warning("%d photos", URL)
    log.warning("nothing to fill in", URL)
    written = read()
    assert TEST_TOKEN not in written
    assert "photos" in written
    assert "nothing to fill in" in written


def test_urllib3_logs_no_urls(read: Read, telegram: FakeTelegram) -> None:
    urllib3.PoolManager().request("GET", f"{telegram.url}/bot{TEST_TOKEN}/getMe")
    assert read() == ""


def test_a_json_line_is_an_object_with_the_usual_names(read_json: Read) -> None:
    log.warning("⚠️ %s", "AgAC", extra={"lane": "hot", "count": 3})
    line: dict[str, Any] = json.loads(read_json())
    assert {"time", "level", "logger", "process", "message"} <= set(line)
    assert (line["level"], line["message"], line["lane"], line["count"]) == ("WARNING", "⚠️ AgAC", "hot", 3)


def test_a_json_line_contains_its_traceback(read_json: Read) -> None:
    try:
        int(URL)
    except ValueError:
        log.exception("failed")
    (line,) = read_json().splitlines()
    assert "ValueError" in json.loads(line)["exc_info"]
    assert TEST_TOKEN not in line


def test_a_message_below_the_level_is_not_written(settings: Settings, restored: None) -> None:
    read = start(settings, "text", "WARNING")
    log.info("quiet")
    assert read() == ""


def test_warnings_of_python_are_lines_of_the_log(read_json: Read) -> None:
    warnings.showwarning("root is no good user", UserWarning, "some.py", 7)
    line = json.loads(read_json())
    assert (line["logger"], line["level"]) == ("py.warnings", "WARNING")
    assert "root is no good user" in line["message"]


def test_an_exception_that_ends_a_thread_or_the_process_is_a_line_of_the_log(read_json: Read) -> None:
    def fail() -> None:
        raise ValueError(TEST_TOKEN)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.excepthook(KeyError, KeyError("x"), None)
    ended, last = (json.loads(line) for line in read_json().splitlines())
    assert [one["message"] for one in (ended, last)] == ["uncaught ValueError", "uncaught KeyError"]
    assert "in fail" in ended["exc_info"]
    assert TEST_TOKEN not in ended["exc_info"]
