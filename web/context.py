"""How a route or a receiver finds the parts that it works with: `web.wiring` makes a context for each room."""

from __future__ import annotations

from typing import TypeVar, cast

from flask import Flask, current_app

NAME = "avatar-warmer"
Context = TypeVar("Context")


def get_app() -> Flask:
    """The app that answers the current request: the sender of every signal, which the proxy is not."""
    return cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]  # werkzeug's LocalProxy


def get_context(kind: type[Context], app: Flask | None = None) -> Context:
    """The context of this class, of this app or of the one that answers the current request."""
    return cast(Context, (app or current_app).extensions[NAME][kind])
