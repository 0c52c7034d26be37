"""The web tier under granian, which leaves logging to the application. Under gunicorn, gunicorn.conf.py sets it up."""

from __future__ import annotations

import gc

from flask import Flask

import web
from warmer.observe.logs import configure_logging
from warmer.settings import load_settings_or_exit


def create_app() -> Flask:
    """The app, with logging. The garbage collector skips the objects that live as long as the process."""
    settings = load_settings_or_exit()
    configure_logging(settings)
    app = web.create_app(settings)
    gc.collect()
    gc.freeze()
    return app
