"""The page at `/`, and its field that looks up an id."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template, request
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError

from warmer.http_url import LOOPBACK
from warmer.state.workers import WorkerStatus, list_worker_statuses
from web.api.partners import LIST_MAX, UserId, resolve
from web.context import get_context
from web.pages.context import PageContext
from web.problems import Problem, is_away, parse_body

bp = Blueprint("pages", __name__)

PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via", "Cf-Connecting-Ip")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {photos} data:; connect-src {photos}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors https://web.telegram.org 'self'"
)


class TryBody(BaseModel):
    """POST /try"""

    model_config = ConfigDict(extra="forbid")
    id: UserId


@bp.get("/")
def index() -> Response:
    """The recent partners with their pictures; with a real token, also the name of the bot."""
    context = get_context(PageContext)
    status = _get_bot_status(context)
    page = render_template(
        "index.html",
        demo=context.settings.demo,
        init_data=_sign_in_demo_user(context) if context.settings.demo else None,
        bot={"name": status.bot_name, "username": status.bot_username} if status.bot_username else None,
        bot_state=status.bot,
        may_look_up=not context.settings.demo and is_at_home(),
    )
    response = Response(page, mimetype="text/html")
    # Photos come from PUBLIC_URL, another origin if the page is opened under another name.
    origin = "/".join(context.settings.public_url.split("/")[:3])
    response.headers["Content-Security-Policy"] = PAGE_POLICY.format(photos=f"'self' {origin}".strip())
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/try")
def look_up_one() -> Response:
    """The picture of one id, from this machine only."""
    if not is_at_home() or get_context(PageContext).settings.demo:
        raise Problem(403, "this field works on the machine itself only")
    user_id = parse_body(TryBody).id
    return jsonify(id=user_id, **resolve([user_id])[0])


def is_at_home() -> bool:
    """Whether the browser runs on this machine: no proxy or tunnel, and no other host name that leads here."""
    host = request.host.rpartition(":")[0] if request.host.count(":") == 1 else request.host.strip("[]")
    host = host.partition("]")[0] if host.startswith("::1]") else host
    is_direct = not any(name in request.headers for name in PROXY_HEADERS)
    return bool(is_direct and LOOPBACK.fullmatch(request.remote_addr or "") and LOOPBACK.fullmatch(host))


def _get_bot_status(context: PageContext) -> WorkerStatus:
    """The worker status that knows most about the bot: one with its name, if any."""
    try:
        statuses = list_worker_statuses(context.redis, context.keys)
    except RedisError as error:
        if not is_away(error):
            raise
        statuses = []
    return max(
        statuses, key=lambda status: (status.bot == "ok", bool(status.bot_username)), default=WorkerStatus("none")
    )


def _sign_in_demo_user(context: PageContext) -> str | None:
    """Init data of the first demo partner, as Telegram would sign it. Partners who join later do not change it."""
    partners = context.people.list_recent(LIST_MAX)
    if not partners:
        return None
    first, _, last = partners[-1].name.partition(" ")
    user = User(id=partners[-1].id, first_name=first, last_name=last or None)
    return sign(UnsignedInitData(user=user), context.settings.init_data_secret, token_hashed=True)
