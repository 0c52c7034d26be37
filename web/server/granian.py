"""The web tier under granian, which sets up no logging of its applications; gunicorn.conf.py does this for gunicorn."""

from __future__ import annotations

import gc

from flask import Flask

import web
from warmer.observe.logs import configure_logging
from warmer.settings import load_settings_or_exit


def create_app() -> Flask:
    """The app, with its logging; the garbage collector leaves alone what lives as long as the process."""
    settings = load_settings_or_exit()
    configure_logging(settings)
    app = web.create_app(settings)
    gc.collect()
    gc.freeze()
    return app
