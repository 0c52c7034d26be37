"""Partners register, are listed and are forgotten; pictures are warmed and resolved by id."""

from __future__ import annotations

import re
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints
from werkzeug.routing import BaseConverter

from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import FILE_ID, MAX_ID, parse_user_id, user_subject
from warmer.names import NAME_MAX, has_controls
from warmer.state.partners import Partner, subject_of
from web.api.auth import count_write, require
from web.api.context import ApiContext
from web.api.views import show_partners, show_status
from web.context import get_app, get_context
from web.problems import Problem, parse_body
from web.signals import announce, partner_registered, partners_listed, photos_requested, profile_aged

bp = Blueprint("partners", __name__, url_prefix="/api")

LIST_DEFAULT, LIST_MAX = 20, 100
LIMIT = re.compile(r"[1-9][0-9]?|100")
BATCH_MAX = 100


def _has_no_controls(value: str) -> str:
    if has_controls(value):
        raise ValueError("must not hold control characters")
    return value


Name = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=NAME_MAX), AfterValidator(_has_no_controls)
]
FileId = Annotated[str, StringConstraints(strict=True, pattern=rf"^{FILE_ID.pattern}$")]
UserId = Annotated[StrictInt, Field(gt=-MAX_ID, lt=MAX_ID)]


class PartnerBody(BaseModel):
    """PUT /api/partner/<id>"""

    model_config = ConfigDict(extra="forbid")
    name: Name
    photo_file_id: FileId | None = None


class WarmBody(BaseModel):
    """POST /api/photos/warm"""

    model_config = ConfigDict(extra="forbid")
    photo_file_ids: Annotated[list[FileId], Field(max_length=BATCH_MAX)]


class ResolveBody(BaseModel):
    """POST /api/photos/resolve"""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[UserId], Field(max_length=BATCH_MAX)]


@bp.get("/partner/recent")
def list_recent() -> Response:
    """The newest partners, newest first; the first pictures that are not ready are warmed."""
    require("user", "server")
    limit, *more = request.args.getlist("limit") or [str(LIST_DEFAULT)]
    if more or not LIMIT.fullmatch(limit):
        raise Problem(400, f"limit: must be a number from 1 to {LIST_MAX}")
    context = get_context(ApiContext)
    partners = context.partners.list_recent(int(limit))
    shown = show_partners(partners, context)
    waiting = [subject_of(p) for p, view in zip(partners, shown, strict=True) if view["photo_status"] == "warming"]
    announce(partners_listed, get_app(), subjects=waiting)
    return jsonify(partners=shown)


@bp.post("/partner/me")
def register_me() -> tuple[Response, int]:
    """The caller registers: named from the init data, pictured from the profile."""
    caller = require("user")
    count_write(caller)
    profiles = get_context(ApiContext).profiles
    answer = _register(caller.id, caller.name, None, is_users=True, is_repeat=profiles.has_registered(caller.id))
    profiles.note_registration(caller.id)  # last: a registration that broke off can be repeated
    return answer


@bp.get("/partner/me")
def get_me() -> Response:
    """The caller, if registered."""
    return _show(require("user").id)


@bp.delete("/partner/me")
def forget_me() -> tuple[str, int]:
    """Forget everything about the caller."""
    caller = require("user")
    count_write(caller)
    return _forget(caller.id)


@bp.put("/partner/<partner:name>")
def register_partner(name: str) -> tuple[Response, int]:
    """A backend registers a partner. A picture given here is pinned until the next PUT."""
    caller = require("server")
    partner_id, body = _parse_id(name), parse_body(PartnerBody)
    count_write(caller)
    return _register(partner_id, body.name, body.photo_file_id)


@bp.get("/partner/<partner:name>")
def get_partner(name: str) -> Response:
    """One partner."""
    require("server")
    return _show(_parse_id(name))


@bp.delete("/partner/<partner:name>")
def forget_partner(name: str) -> tuple[str, int]:
    """Forget everything about this partner."""
    caller, partner_id = require("server"), _parse_id(name)
    count_write(caller)
    return _forget(partner_id)


@bp.post("/photos/warm")
def warm_photos() -> tuple[Response, int]:
    """Pictures by file id, ahead of time."""
    caller, file_ids = require("server"), list(dict.fromkeys(parse_body(WarmBody).photo_file_ids))
    count_write(caller)
    context = get_context(ApiContext)
    return jsonify(photos=dict(zip(file_ids, _request_all(file_ids, context), strict=True))), 202


@bp.post("/photos/resolve")
def resolve_photos() -> Response:
    """Pictures by user or chat id, registered or not; missing ones are looked up and warmed."""
    caller, ids = require("server"), list(dict.fromkeys(parse_body(ResolveBody).ids))
    count_write(caller)
    return jsonify(photos=dict(zip(map(str, ids), resolve(ids), strict=True)))


def resolve(ids: list[int]) -> list[dict[str, Any]]:
    """The status of each id's picture; missing pictures are requested."""
    context = get_context(ApiContext)
    partners, profiles = context.partners.get_many(ids), context.profiles.get_many(ids)
    subjects = []
    for user_id, partner, profile in zip(ids, partners, profiles, strict=True):
        known = (partner.photo_file_id if partner else None) or (profile.file_id if profile else None)
        follows = profile if partner is None else None if partner.is_pinned else partner
        if known and follows and context.profiles.is_aged(follows.looked_up_at):
            announce(profile_aged, get_app(), subject=user_subject(user_id))
        subjects.append(known or user_subject(user_id))
    context.store.clear_tombstones(*map(user_subject, ids))
    return _request_all(subjects, context)


def _request_all(subjects: list[str], context: ApiContext) -> list[dict[str, Any]]:
    """Clear the tombstones, request the pictures that are not ready, and return the status of each."""
    context.store.clear_tombstones(*subjects)
    statuses = context.store.get_statuses(subjects) if subjects else []
    missing = [
        subject for subject, photo_status in zip(subjects, statuses, strict=True) if photo_status.status == "warming"
    ]
    announce(photos_requested, get_app(), subjects=missing)
    return [
        show_status(subject, photo_status, context) for subject, photo_status in zip(subjects, statuses, strict=True)
    ]


def _register(
    partner_id: int, name: str, file_id: str | None, *, is_users: bool = False, is_repeat: bool = False
) -> tuple[Response, int]:
    """Register a partner. A user does not unpin a picture; repeated within a minute, nothing is published."""
    context = get_context(ApiContext)
    context.store.clear_tombstones(user_subject(partner_id), *([file_id] if file_id else []))
    partner, is_new = context.partners.register(partner_id, name, file_id, unpin=not is_users)
    is_repeat = is_repeat and not is_new
    if partner.is_pinned:
        is_settled = context.store.get_statuses([subject_of(partner)])[0].status != "warming"
    else:
        if not is_repeat:
            context.store.clear_unavailable(
                user_subject(partner_id)
            )  # a user who opens the bot may have become visible to it
        context.profiles.mark_old(partner_id)
        is_settled = False
    subject = subject_of(partner) if partner.is_pinned else user_subject(partner_id)
    announce(partner_registered, get_app(), subject=subject, is_settled=is_settled, is_repeat=is_repeat)
    return jsonify(show_partners([partner], context)[0]), 201 if is_new else 200


def _forget(partner_id: int) -> tuple[str, int]:
    context = get_context(ApiContext)
    context.forget.partner(partner_id)
    context.breaker.end_request()  # waiting for other processes is not the fault of a slow Redis
    if not wait_for_acknowledgements(context.redis, context.keys):
        raise Problem(503, "forgotten, but a process may still show it: try again", headers={"Retry-After": "1"})
    return "", 204


def _show(partner_id: int) -> Response:
    context = get_context(ApiContext)
    partner: Partner | None = context.partners.get(partner_id)
    if partner is None:
        raise Problem(404, "no such partner")
    return jsonify(show_partners([partner], context)[0])


def _parse_id(name: str) -> int:
    partner_id = parse_user_id(name)
    if partner_id is None:
        raise Problem(404, "no such partner")
    return partner_id


class PartnerName(BaseConverter):
    """A path segment that may be an id: not `me` or `recent`, which have routes of their own."""

    regex = r"(?!(?:me|recent)\Z)[^/]+"
