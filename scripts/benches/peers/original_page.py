"""This service's page on top of the original's designs: the same files, the original's pictures.

    PAGE=/folder/index.html STATIC=web/static uvicorn --app-dir scripts/benches/peers --factory original_page:before

It needs the same packages as `original`. Every visitor is signed in as Ann, who joined first and has no picture.
"""

from __future__ import annotations

import os
from typing import Any

import original  # type: ignore[import-not-found]  # beside this file: uvicorn gets its folder by --app-dir
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

JOINED = "2026-01-01T00:00:00Z"
UNKNOWN: dict[str, Any] = {"photo_url": None, "photo_srcset": None, "photo_placeholder": None, "photo_status": "ready"}
ANN = {**UNKNOWN, "id": 0, "name": "Ann", "joined_at": JOINED}


def before() -> FastAPI:
    """The app as it was at first, with the page at `/`."""
    return add_page(original.before())


def after() -> FastAPI:
    """The improved app, with the page at `/`."""
    return add_page(original.after())


def add_page(app: FastAPI) -> FastAPI:
    """The app with the page and what the page asks for."""
    list_recent = next(route.endpoint for route in app.routes if getattr(route, "path", "") == "/recent")

    async def send_page() -> FileResponse:
        return FileResponse(os.environ["PAGE"])

    async def show_me() -> dict[str, Any]:
        return ANN

    async def list_partners(limit: int = 20) -> dict[str, Any]:
        partners = (await list_recent(limit))["partners"]
        return {"partners": [*({**UNKNOWN, "joined_at": JOINED, **partner} for partner in partners), ANN]}

    app.add_api_route("/", send_page, response_class=FileResponse)
    app.add_api_route("/api/partner/me", show_me, methods=["POST"])
    app.add_api_route("/api/partner/recent", list_partners)
    app.mount("/static", StaticFiles(directory=os.environ["STATIC"]))
    return app
