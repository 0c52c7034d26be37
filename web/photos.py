"""The pictures: looked up and answered. Most requests end at the first look."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, g, request

from warmer.keys import FILE_ID, parse_user_id, user_subject
from warmer.photo import MIME_TYPES, StoredVariant, Unavailable
from warmer.store import PhotoStore
from web.accept import rank_formats
from web.front import Front, get_app, get_front
from web.problems import Problem
from web.signals import photo_missed, photo_not_found, photo_served, photo_shed, profile_aged
from web.waiting import Shed

bp = Blueprint("photos", __name__, url_prefix="/api/photos")

FILE_CACHE = "public, max-age=604800, immutable"  # a file id names immutable bytes
USER_CACHE = "public, max-age=300, stale-while-revalidate=86400"
ABSENT_CACHE = "public, max-age=60"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for: a size, and the formats it likes best."""

    subject: str  # a file id, or user:<id>
    size: int
    formats: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A stored picture."""

    format: str
    variant: StoredVariant


Answer = Found | Unavailable | None


@bp.get("/file/<path:file_id>")
def send_file_photo(file_id: str) -> Response:
    """One picture, for ever the same."""
    if not FILE_ID.fullmatch(file_id):
        raise Problem(403, "the signature does not fit this URL")
    return _answer(_read_wish(file_id, f"file:{file_id}"), FILE_CACHE)


@bp.get("/user/<path:name>")
def send_user_photo(name: str) -> Response:
    """The picture that this id shows now."""
    user_id = parse_user_id(name)
    if user_id is None:
        raise Problem(403, "the signature does not fit this URL")
    subject = user_subject(user_id)
    return _answer(_read_wish(subject, subject), USER_CACHE)


def _read_wish(subject: str, signed: str) -> Wish:
    front = get_front()
    if not front.urls.verify(signed, request.args.get("sig", "")):
        raise Problem(403, "the signature does not fit this URL")
    size, *more = request.args.getlist("size") or [str(front.urls.size)]
    if more or size not in map(str, front.urls.sizes):
        raise Problem(400, f"size: must be one of {', '.join(map(str, front.urls.sizes))}")
    return Wish(subject, int(size), rank_formats(request.accept_mimetypes, front.store.formats))


def _answer(wish: Wish, cache_control: str) -> Response:
    app = get_app()
    front = get_front()
    shown = _list_shown(wish.subject, front)
    found: Answer = _timed("redis", lambda: _look(wish, shown, front))
    was_hit = found is not None
    if found is None:
        found = _timed("wait", lambda: _wait(wish, shown, front))
    seconds = time.monotonic() - g.started
    if isinstance(found, Found):
        photo_served.send(app, subject=wish.subject, seconds=seconds, was_hit=was_hit)
        return _send(found, cache_control, was_hit)
    if found is None:
        raise Problem(503, "the picture is not ready yet", headers={"Retry-After": "1"})
    photo_not_found.send(app, subject=wish.subject)
    raise Problem(404, "no photo", headers={"Cache-Control": ABSENT_CACHE})


def _list_shown(subject: str, front: Front) -> list[str]:
    """The file ids to look for, best first: what the id shows now, then what it showed until that is ready."""
    if not subject.startswith("user:"):
        return [subject]
    user_id = int(subject.removeprefix("user:"))
    partner = front.partners.get(user_id)
    if partner and partner.photo_file_id:
        if not partner.is_pinned and front.profiles.is_aged(partner.looked_up_at):
            profile_aged.send(get_app(), subject=subject)
        return [partner.photo_file_id, *([partner.previous_file_id] if partner.previous_file_id else [])]
    profile = front.profiles.get(user_id)
    if profile and front.profiles.is_aged(profile.looked_up_at):
        profile_aged.send(get_app(), subject=subject)
    return [profile.file_id] if profile else []


def _look(wish: Wish, shown: list[str], front: Front) -> Answer:
    """One look into Redis: a picture, the knowledge that there is none, or nothing."""
    for file_id in shown:
        for fmt in wish.formats:
            if variant := _get(file_id, wish.size, fmt, front.store):
                return Found(fmt, variant)
    return front.store.get_unavailable(shown[0] if shown else wish.subject)


def _get(file_id: str, size: int, fmt: str, store: PhotoStore) -> StoredVariant | None:
    """The variant, without its bytes where the client has them."""
    if request.if_none_match:
        header = store.get_header(file_id, size, fmt)
        if header is None or _is_known(header):
            return header
    return store.get(file_id, size, fmt)


def _is_known(variant: StoredVariant) -> bool:
    """Whether the client has these very bytes (If-None-Match compares weakly; RFC 9110, 13.1.2)."""
    return request.if_none_match.contains_weak(variant.etag) or request.if_none_match.star_tag


def _wait(wish: Wish, shown: list[str], front: Front) -> Answer:
    """Ask for the picture and wait a bounded while."""

    def look() -> Answer:
        return _look(wish, _list_shown(wish.subject, front), front)

    def ask() -> bool:
        subject = next(iter(_list_shown(wish.subject, front)), wish.subject)
        later = wish.formats[0] != front.store.formats[0] and not subject.startswith("user:")
        wanted = (subject, wish.formats[0]) if later else None
        return any(at_it for _, at_it in photo_missed.send(get_app(), subject=subject, wanted=wanted))

    try:
        return front.waiting.wait_for({wish.subject, *shown}, look, ask)
    except Shed:
        ask()  # for the client's next try
    if (found := look()) is None:
        photo_shed.send(get_app(), subject=wish.subject)
    return found


def _send(found: Found, cache_control: str, was_hit: bool) -> Response:
    variant = found.variant
    if _is_known(variant):
        response = Response(status=304)
        del response.headers["Content-Type"]
    else:
        response = Response(variant.body, mimetype=MIME_TYPES[found.format])
    response.headers["ETag"] = f'"{variant.etag}"'
    response.headers["Cache-Control"] = cache_control
    response.headers["Cache-Status"] = "avatar-warmer; hit" if was_hit else "avatar-warmer; fwd=miss"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@bp.after_app_request
def _add_photo_headers(response: Response) -> Response:
    """What every answer of the photo routes carries, errors included."""
    if request.path.startswith(("/api/photos/file/", "/api/photos/user/")):
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if len(get_front().store.formats) > 1:
            response.vary.add("Accept")
    return response


def _timed(name: str, call: Callable[[], Answer]) -> Answer:
    started = time.monotonic()
    try:
        return call()
    finally:
        g.timings.append(f"{name};dur={(time.monotonic() - started) * 1000:.1f}")
