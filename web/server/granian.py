"""The web tier under granian, which leaves logging and the checks of a start to the application.

Under gunicorn, gunicorn.conf.py does the same.
"""

from __future__ import annotations

import gc
import logging

from flask import Flask

import web
from warmer.broker.start_check import exit_if_wrong_server
from warmer.observe.logs import configure_logging
from warmer.open_files import raise_open_files_limit_or_exit
from warmer.photo_urls import get_url_warning
from warmer.settings import load_settings_or_exit
from web.wiring import OPEN_FILES, get_web_context


def create_app() -> Flask:
    """Return the app, with logging. The garbage collector skips the objects that live as long as the process.

    Ends the process with one line for a wrong setting, too few open files, or a Redis that is not what its URL says.
    """
    settings = load_settings_or_exit()
    raise_open_files_limit_or_exit(OPEN_FILES)
    exit_if_wrong_server(settings, "REDIS_URL")
    configure_logging(settings)
    if warning := get_url_warning(settings):
        logging.getLogger("web").warning(warning)
    app = web.create_app(settings)
    get_web_context(app).health.check_rights()
    get_web_context(app).photos.listener.ensure_started()  # `diagnose` counts the processes that listen
    gc.collect()
    gc.freeze()
    return app
