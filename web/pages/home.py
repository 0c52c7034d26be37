"""The page at `/`, and its field that looks up an id."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

from flask import Blueprint, Response, current_app, jsonify, render_template, request
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from pydantic import BaseModel, ConfigDict

from warmer.observe.checks import Health
from warmer.settings import Settings
from web.api.partners import LIST_MAX, UserId, resolve
from web.context import get_context
from web.pages.context import PageContext
from web.pages.operators import has_page_key, require_operator, sign_in
from web.problems import parse_body

bp = Blueprint("pages", __name__)

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {photos} data:; connect-src {photos}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors https://web.telegram.org 'self'"
)

PLACEHOLDER = "//example.org/"  # of a project that is not published yet: nothing is there


class TryBody(BaseModel):
    """POST /try"""

    model_config = ConfigDict(extra="forbid")
    id: UserId


@bp.get("/")
def index() -> Response:
    """The recent partners for a visitor who is signed in; the name of the bot for any other."""
    context = get_context(PageContext)
    demo, is_operator = context.settings.demo, has_page_key()
    if context.settings.page_key and "key" in request.args:
        return sign_in(request.args["key"])
    health = context.health.take() if is_operator else context.health.take_recent()  # anyone may load the page
    state = find_trouble(health)
    named = max(health.workers, key=lambda status: bool(status.bot_username), default=None)
    bot = {"name": named.bot_name, "username": named.bot_username} if named and named.bot_username else None
    page = render_template(
        "index.html",
        demo=demo,
        init_data=_sign_in_demo_user(context) if demo and is_operator else None,
        links=list_links(context.settings) if is_operator else [],
        keys_file=context.settings.data_dir / "keys.env",
        bot=bot,
        # A visitor who knows the bot's name can do nothing about its state.
        bot_state=state if is_operator or not bot else "",
        ill=health.trouble.ill if any(worker.bot == "ok" for worker in health.workers) else (),
        may_look_up=not demo and is_operator and not state,
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
    """The picture of one id, for operators."""
    require_operator()
    user_id = parse_body(TryBody).id
    return jsonify(id=user_id, **resolve([user_id])[0])


def list_links(settings: Settings) -> list[tuple[str, str]]:
    """List the links for an operator, as names and URLs. The metadata of the installed project names those outside."""
    try:
        named = metadata("avatar-warmer").get_all("Project-URL") or []
    except PackageNotFoundError:
        named = []
    outside = {name: url for name, url in (line.split(", ", 1) for line in named) if PLACEHOLDER not in url}
    docs = "docs/tutorial.md" if "docs" in current_app.blueprints else outside.get("Documentation")
    flower = f"http://127.0.0.1:{settings.flower_port}/" if settings.demo else None  # an operator may be elsewhere
    urls = {"Docs": docs, "Operations": "ops", "Flower": flower, "Source": outside.get("Source")}
    return [(name, url) for name, url in urls.items() if url]


def find_trouble(health: Health) -> str:
    """Return the state in which a look-up leads to nothing, in the words of `/readyz`. Returns "" if it may succeed."""
    if health.checks["redis"] == "denied":
        return "redis_denied"
    if not health.can_read:
        return "redis_away"
    if health.checks["worker"] == "missing":
        return "no_worker"
    if health.is_only_paused:
        return "paused"
    bot = health.checks["bot"]
    return "" if bot in ("ok", "unknown") else bot


def _sign_in_demo_user(context: PageContext) -> str | None:
    """Init data of the first demo partner, as Telegram would sign it. Partners who join later do not change it."""
    partners = context.people.list_recent(LIST_MAX)
    if not partners:
        return None
    first, _, last = partners[-1].name.partition(" ")
    user = User(id=partners[-1].id, first_name=first, last_name=last or None)
    return sign(UnsignedInitData(user=user), context.settings.init_data_secret, token_hashed=True)
