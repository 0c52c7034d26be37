"""Routes of the demo alone, for the control at the top of its page: the first pictures again, cold or without warming.

A service with a token of its own does not have them: see `create_app`.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from warmer.state.purge import purge_photos
from web.api.context import ApiContext
from web.api.partners import LIST_MAX, wait_until_purged
from web.api.recent import read_list
from web.context import get_context
from web.pages.operators import require_operator
from web.problems import Problem

bp = Blueprint("comparison", __name__, url_prefix="/demo")

FIRST = 4  # pictures, as `FIRST` in web/static/common.js: those that every screen shows


@bp.post("/empty")
def empty_first() -> tuple[str, int]:
    """Delete the stored pictures of the newest partners. The partners and their places stay."""
    require_operator()
    _require_own_page()
    context = get_context(ApiContext)
    newest = context.people.list_recent(FIRST)
    purge_photos(context.store, [file_id for person in newest for file_id in person.shown])
    wait_until_purged("emptied, but a process may still serve from memory: try again")
    return "", 204


@bp.get("/recent")
def list_without_warming() -> Response:
    """The list of `/api/partner/recent`, which warms nothing here."""
    require_operator()
    found = read_list(get_context(ApiContext).people.list_recent_ids(LIST_MAX))
    response = Response(found.body, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _require_own_page() -> None:
    """Browsers name the page that sends a POST: no other page may, whatever the cookie. Raises Problem: 403."""
    if request.headers.get("Origin") != request.host_url.rstrip("/"):
        raise Problem(403, "only the page of this demo may ask for that")
