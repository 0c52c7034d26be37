"""The remembered list in front of Flask, for callers who are known: nothing has to be waited for.

Flask gives the first answer of each list and keeps it, for all who send the same Origin and Accept-Encoding. So errors,
CORS and compression are decided in one place, and every other request is left to it.
"""

from __future__ import annotations

import re
from functools import cached_property

from flask import Flask, Response, g, request
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)

from web.api.auth import recall
from web.api.context import ApiContext
from web.api.lists import CachedReply, PartnerList
from web.api.partners import LIMIT, LIST_DEFAULT
from web.observe.access_log import LIST, AccessLog, Entry
from web.observe.request_ids import RequestIds
from web.photos.request import PRIVATE_NETWORK, ListRequest
from web.photos.response import Reply, list_own_headers
from web.signals import has_foreign_receivers, partners_listed

QUERY = re.compile(rf"(?:limit=({LIMIT.pattern}))?")
SIGNALS = (  # that Flask's way sends
    partners_listed, appcontext_pushed, request_started, request_finished, request_tearing_down,
    appcontext_tearing_down, appcontext_popped,
)  # fmt: skip


class FastList:
    """Answers for the app of one process."""

    def __init__(self, app: Flask, context: ApiContext, request_ids: RequestIds, access_log: AccessLog) -> None:
        """Made when the app has all hooks of this project."""
        self._app = app
        self._context = context
        self._request_ids = request_ids
        self._access_log = access_log
        self._own_hooks = count_hooks(app)

    def answer(self, raw: ListRequest) -> Reply | None:
        """Return the answer. Returns None if Flask must give it, as for a listener or a hook of a user's own."""
        context = self._context
        started = context.clock()
        if (asked := QUERY.fullmatch(raw.query)) is None:
            return None
        found = context.lists.get(int(asked[1] or LIST_DEFAULT))
        ready = found.answers.get((raw.origin, raw.accept_encoding)) if found else None
        if ready is None or self._has_foreign_hooks or has_foreign_receivers(*SIGNALS):
            return None
        if recall(raw.authorization, context) is None:
            return None
        request_id = self._request_ids.choose(raw.request_id)
        seconds = context.clock() - started
        self._access_log.note(Entry("", LIST, "200", seconds, True, context.wall_clock(), raw.method, request_id))
        own = dict(list_own_headers(request_id, seconds))
        headers = [(name, own.get(name, value)) for name, value in ready.headers]
        return Reply("200 OK", headers, b"" if raw.method == "HEAD" else ready.body)

    @cached_property
    def _has_foreign_hooks(self) -> bool:
        """Read after the first answer of Flask, which takes no more hooks then."""
        return count_hooks(self._app) != self._own_hooks


def init_app(app: Flask) -> None:
    """Keep the answers of lists. Call this first: then it sees them with all their headers."""

    @app.after_request
    def keep_answer(response: Response) -> Response:
        found: PartnerList | None = g.pop("partner_list", None)  # a user's app context may outlive the request
        if found is None or response.status_code != 200 or PRIVATE_NETWORK in request.headers:
            return response
        if not found.warming:  # else a receiver requests the first of them each time, which takes a round trip
            variant = request.headers.get("Origin"), request.headers.get("Accept-Encoding")
            found.keep_answer(variant, CachedReply(response.headers.to_wsgi_list(), response.get_data()))
        return response


def count_hooks(app: Flask) -> int:
    """Return the number of functions that Flask calls around each request."""
    tables = (
        app.url_value_preprocessors, app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs
    )  # fmt: skip
    return sum(len(hooks) for table in tables for hooks in table.values()) + len(app.teardown_appcontext_funcs)
