"""Gunicorn's settings for the web tier. Gunicorn reads this file from the folder that it starts in."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import Any

from warmer.broker.start_check import exit_if_wrong_server
from warmer.observe.logs import log_strays, logging_config
from warmer.open_files import raise_open_files_limit_or_exit
from warmer.photo_urls import get_url_warning
from warmer.settings import load_settings_or_exit
from web import close_app
from web.server.worker import CONNECTIONS_MAX
from web.wiring import OPEN_FILES, THREADS, get_web_context

PR_SET_PDEATHSIG = 1  # prctl(2)


def _find_heartbeat_folder() -> str | None:
    """Return the first folder that takes a file, in memory if possible: gunicorn needs one for its heartbeats."""
    for folder in ("/dev/shm", "/tmp", "/var/tmp", os.environ.get("PROMETHEUS_MULTIPROC_DIR", "."), "."):  # noqa: S108
        with suppress(OSError), tempfile.TemporaryFile(dir=folder):
            return folder
    return None


_settings = load_settings_or_exit()
_open_files = raise_open_files_limit_or_exit(OPEN_FILES)

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = f"{_host}:{_settings.port}"
worker_class = "web.server.worker.PhotoWorker"  # gunicorn's gthread; pictures are answered in its loop
workers = 2
worker_connections = min(CONNECTIONS_MAX, _open_files - 3 * THREADS)  # each thread has one to Redis and the broker
threads = THREADS  # for all that the loop does not answer itself
keepalive = 30  # seconds
timeout = 30  # seconds
graceful_timeout = 20  # seconds
control_socket_disable = True
forwarded_allow_ips = ""  # trust no X-Forwarded-Proto or SCRIPT_NAME: no answer depends on them
logconfig_dict = logging_config(_settings)
worker_tmp_dir = _find_heartbeat_folder()


def on_starting(_server: Any) -> None:
    """Refuse a Redis that is not what its URL says. Without the broker there are still hits."""
    log_strays(_settings)
    exit_if_wrong_server(_settings, "REDIS_URL")
    if warning := get_url_warning(_settings):
        logging.getLogger("web").warning(warning)


def post_fork(_server: Any, _worker: Any) -> None:
    """End the process with its master: otherwise it would block the port for the next master for many seconds."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def post_worker_init(worker: Any) -> None:
    """Name the rights that Redis denies, and keep the garbage collector from lasting objects.

    Walking these takes half of a hit's time, measured. `diagnose` counts the processes that listen, so this one does
    before its first request.
    """
    if app := getattr(worker, "wsgi", None):  # missing if the app failed to load
        get_web_context(app).health.check_rights()
        get_web_context(app).photos.listener.ensure_started()
    gc.collect()
    gc.freeze()


def worker_exit(_server: Any, worker: Any) -> None:
    """Close the app, which writes the last lines and figures."""
    if app := getattr(worker, "wsgi", None):  # missing if the app failed to load
        close_app(app)
