"""Partners register, are listed and are forgotten; pictures are warmed, resolved by id and refreshed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from flask import Blueprint, Response, g, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from werkzeug.routing import BaseConverter

from warmer.deadline import Deadline
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import MAX_ID, Subject, parse_user_id
from web.api.auth import count_deletion, count_write, require
from web.api.context import ApiContext
from web.api.partner_json import FileId, PartnerBody, show_partners, show_status
from web.api.recent import find_list, wait_until_listed
from web.context import get_app, get_context
from web.problems import Problem, parse_body
from web.signals import announce, partner_registered, partners_listed, photos_requested, profile_aged

bp = Blueprint("partners", __name__, url_prefix="/api")

LIST_DEFAULT, LIST_MAX = 20, 100
LIMIT = re.compile(r"[1-9][0-9]?|100")
BATCH_MAX = 100
ANNOUNCE_SECONDS = 1.0  # one id


UserId = Annotated[StrictInt, Field(gt=-MAX_ID, lt=MAX_ID)]


class WarmBody(BaseModel):
    """POST /api/photos/warm"""

    model_config = ConfigDict(extra="forbid")
    photo_file_ids: Annotated[list[FileId], Field(max_length=BATCH_MAX)]


class ResolveBody(BaseModel):
    """POST /api/photos/resolve and /api/photos/refresh"""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[UserId], Field(max_length=BATCH_MAX)]


@bp.get("/partner/recent")
def list_recent() -> Response:
    """List the newest partners, newest first, and warm the first pictures that are not ready."""
    require("user", "server")
    limit, *more = request.args.getlist("limit") or [str(LIST_DEFAULT)]
    if more or not LIMIT.fullmatch(limit):
        raise Problem(400, f"limit: must be a number from 1 to {LIST_MAX}")
    found = g.partner_list = find_list(int(limit))  # web/api/fast_list.py keeps the answer
    announce(partners_listed, get_app(), subjects=list(found.warming))
    return Response(found.body, mimetype="application/json")


@bp.post("/partner/me")
def register_me() -> tuple[Response, int]:
    """The caller registers: named from the init data, pictured from the profile."""
    caller = require("user")
    count_write(caller)
    return _register(caller.id, caller.name, None, by_user=True)


@bp.get("/partner/me")
def get_me() -> Response:
    """Show the caller. Raises Problem: 404 unless registered."""
    return _show(require("user").id)


@bp.delete("/partner/me")
def forget_me() -> tuple[str, int]:
    """Forget everything about the caller."""
    caller = require("user")
    count_deletion(caller)
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
    count_deletion(caller)
    return _forget(partner_id)


@bp.post("/photos/warm")
def warm_photos() -> tuple[Response, int]:
    """Warm pictures by file id, ahead of time."""
    caller, file_ids = require("server"), list(dict.fromkeys(parse_body(WarmBody).photo_file_ids))
    count_write(caller)
    context = get_context(ApiContext)
    return jsonify(photos=dict(zip(file_ids, _request_all(file_ids, context), strict=True))), 202


@bp.post("/photos/resolve")
def resolve_photos() -> Response:
    """Show the pictures of users and chats, registered or not. Missing ones are looked up and warmed."""
    caller, ids = require("server"), list(dict.fromkeys(parse_body(ResolveBody).ids))
    count_write(caller)
    return jsonify(photos=dict(zip(map(str, ids), resolve(ids), strict=True)))


@bp.post("/photos/refresh")
def refresh_photos() -> tuple[Response, int]:
    """Look up the profiles of these ids again now. The answer says what is shown until then."""
    caller, ids = require("server"), list(dict.fromkeys(parse_body(ResolveBody).ids))
    count_write(caller)
    context = get_context(ApiContext)
    people = context.people.get_many(ids)
    profiles = context.refreshes.request(people)
    photos = _request_missing([person.subject for person in people], context, first=profiles)
    return jsonify(photos=dict(zip(map(str, ids), photos, strict=True))), 202


def resolve(ids: list[int]) -> list[dict[str, Any]]:
    """Return the status of each id's picture, and request the missing ones."""
    context = get_context(ApiContext)
    people = context.people.get_many(ids)
    for person in people:
        if person.shown and context.people.is_aged(person):
            announce(profile_aged, get_app(), subject=Subject.of_person(person.id))
    context.store.clear_tombstones(*map(Subject.of_person, ids))
    return _request_all([person.subject for person in people], context)


def _request_all(subjects: list[str], context: ApiContext) -> list[dict[str, Any]]:
    """Clear the tombstones, request the pictures that are not ready, and return the status of each."""
    context.store.clear_tombstones(*subjects)
    return _request_missing(subjects, context)


def _request_missing(subjects: Sequence[str], context: ApiContext, first: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Request these first, then the pictures that are not ready. Returns the status of each subject."""
    statuses = context.store.get_statuses(subjects) if subjects else []
    pairs = list(zip(subjects, statuses, strict=True))
    missing = [subject for subject, photo in pairs if photo.status == "warming"]
    announce(photos_requested, get_app(), subjects=list(dict.fromkeys([*first, *missing])))
    return [show_status(subject, photo, context) for subject, photo in pairs]


def _register(person_id: int, name: str, file_id: str | None, *, by_user: bool = False) -> tuple[Response, int]:
    """Register, and announce it. A registration by the user leaves a pinned picture.

    Every list that is requested after the answer shows the registration.
    """
    context = get_context(ApiContext)
    person, is_new, is_repeat, outdates_lists = context.people.register(person_id, name, file_id, by_user=by_user)
    (shown,) = show_partners([person], context)
    if person.is_pinned and shown["photo_ready"]:
        context.people.announce_ready(
            person.shown[0], context.store.get_version, Deadline(ANNOUNCE_SECONDS), [person_id]
        )
    is_settled = person.is_pinned and shown["photo_status"] != "warming"
    subject = person.subject if person.is_pinned else Subject.of_person(person_id)
    announce(partner_registered, get_app(), subject=subject, is_settled=is_settled, is_repeat=is_repeat)
    if outdates_lists:
        wait_until_listed()
    return jsonify(shown), 201 if is_new else 200


def _forget(partner_id: int) -> tuple[str, int]:
    """Forget the person everywhere: `Forget.person` in warmer/flow/forget.py."""
    get_context(ApiContext).forget.person(partner_id)
    wait_until_purged("forgotten, but a process may still show it: try again")
    return "", 204


def wait_until_purged(problem: str) -> None:
    """Wait until no process serves from memory what was purged before. Raises Problem: 503 with this sentence."""
    context = get_context(ApiContext)
    context.breaker.end_request()  # waiting for other processes is not the fault of a slow Redis
    if not wait_for_acknowledgements(context.redis, context.keys):
        raise Problem(503, problem, headers={"Retry-After": "1"})


def _show(partner_id: int) -> Response:
    context = get_context(ApiContext)
    person = context.people.get(partner_id)
    if not person.is_registered:
        raise Problem(404, "no such partner")
    return jsonify(show_partners([person], context)[0])


def _parse_id(name: str) -> int:
    partner_id = parse_user_id(name)
    if partner_id is None:
        raise Problem(404, "no such partner")
    return partner_id


class PartnerName(BaseConverter):
    """A path segment that may be an id: not `me` or `recent`, which have routes of their own."""

    regex = r"(?!(?:me|recent)\Z)[^/]+"
