"""Serves the OpenAPI 3.1 document beside this module, with the address and sizes of this deployment."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response

from warmer.photo_urls import PhotoUrls
from web.api.context import ApiContext
from web.compression import compress_once, offer_gzip
from web.context import get_context

bp = Blueprint("openapi", __name__)

DOCUMENT = Path(__file__).with_name("openapi.json")
CACHE_CONTROL = "public, max-age=300"


@bp.get("/openapi.json")
def show_document() -> Response:
    """The document, public."""
    plain, packed = _render(get_context(ApiContext).urls)
    response = Response(plain, mimetype="application/json")
    response.headers["Cache-Control"] = CACHE_CONTROL
    offer_gzip(response, packed)
    return response


@lru_cache(maxsize=8)  # a process has one, a test a few
def _render(urls: PhotoUrls) -> tuple[bytes, bytes | None]:
    """The document, plain and compressed."""
    document = json.loads(DOCUMENT.read_text("utf-8"))
    if urls.public_url:
        document["servers"] = [{"url": urls.public_url}]
    size = document["components"]["parameters"]["size"]
    size["schema"] |= {"enum": list(urls.sizes), "default": urls.size}
    size["example"] = urls.size
    plain = json.dumps(document, ensure_ascii=False).encode()
    return plain, compress_once(plain)
