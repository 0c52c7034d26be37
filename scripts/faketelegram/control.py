"""The routes under /_fake/: the Python API over HTTP, for programs in another process."""

import base64
import binascii
import json
import re
from collections.abc import Callable

from faketelegram import pictures, users
from faketelegram.accounts import Account
from faketelegram.backend import Backend
from faketelegram.fault_rules import Rule
from faketelegram.fields import FieldError, UnknownAccountError
from faketelegram.replies import Reply, as_json
from faketelegram.world import DRAWN

PREFIX = "/_fake/"


def answer(backend: Backend, verb: str, path: str, body: bytes) -> Reply:
    for known_verb, pattern, route in ROUTES:
        found = re.fullmatch(pattern, path.removeprefix(PREFIX))
        if found and verb == known_verb:
            try:
                return route(backend, body, *map(int, found.groups()))
            except FieldError as error:
                return as_json({"error": str(error), "field": error.field}, 422)
            except UnknownAccountError as error:
                return as_json({"error": str(error), "field": "id"}, 404)
    there = [f"{known_verb} {PREFIX}{pattern}".replace(r"(-?\d{1,16})", "<id>") for known_verb, pattern, _ in ROUTES]
    return as_json({"error": f"no such route: {verb} {path}", "routes": there}, 404)


def add_fault(backend: Backend, body: bytes) -> Reply:
    values = _object(body)
    if "method" not in values:
        raise FieldError("method", "is missing")
    backend.faults.add(Rule.parse(values))
    return as_json(backend.faults.rules(), 201)


def clear_faults(backend: Backend, _: bytes) -> Reply:
    backend.faults.clear()
    return as_json([])


def clear_calls(backend: Backend, _: bytes) -> Reply:
    backend.traffic.reset()
    return as_json({})


def show_traffic(backend: Backend, _: bytes) -> Reply:
    traffic = backend.traffic
    numbers = {"connections": traffic.connections, "in_flight": traffic.in_flight}
    return as_json({**numbers, "max_in_flight": traffic.max_in_flight})


def list_users(backend: Backend, _: bytes) -> Reply:
    return as_json([_describe(account) for account in backend.world.accounts()])


def add_user(backend: Backend, body: bytes) -> Reply:
    return as_json(_describe(backend.world.add(*users.parse(_object(body), _from_base64))), 201)


def remove_user(backend: Backend, _: bytes, id: int) -> Reply:
    backend.world.remove_user(id)
    return list_users(backend, b"")


def change_photo(backend: Backend, body: bytes, id: int) -> Reply:
    """The body is an image; if it is empty, a picture is drawn."""
    return as_json(_describe(backend.world.change_photo(id, pictures.squares(body) if body else DRAWN)))


def hide_photo(backend: Backend, _: bytes, id: int) -> Reply:
    return as_json(_describe(backend.world.hide_photo(id)))


def write(backend: Backend, body: bytes, id: int) -> Reply:
    """The body is the text."""
    return as_json(backend.write(id, body.decode(errors="replace")), 201)


def announce_photo(backend: Backend, _: bytes, id: int) -> Reply:
    return as_json(backend.announce_photo(id), 201)


def _describe(account: Account) -> dict[str, object]:
    shown = account.shown
    profile = account.listed[0].profile if account.listed else ()
    chat = shown.chat if shown else ()
    return {
        "id": account.id,
        "name": account.name,
        "file_ids": {str(file.width): file.file_id for file in profile},
        "chat_file_ids": {str(file.width): file.file_id for file in chat},
    }


def _object(body: bytes) -> dict[str, object]:
    try:
        values = json.loads(body)
    except ValueError as error:
        raise FieldError("body", f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise FieldError("body", "must be a JSON object")
    return values


def _from_base64(words: str) -> bytes:
    try:
        return base64.b64decode(words, validate=True)
    except binascii.Error as error:
        raise FieldError("photo", "must be true, false, or an image in base64") from error


Route = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", "faults", lambda backend, _: as_json(backend.faults.rules())),
    ("POST", "faults", add_fault),
    ("DELETE", "faults", clear_faults),
    ("GET", "calls", lambda backend, _: as_json(backend.traffic.calls)),
    ("DELETE", "calls", clear_calls),
    ("GET", "traffic", show_traffic),
    ("GET", "users", list_users),
    ("POST", "users", add_user),
    ("DELETE", r"users/(-?\d{1,16})", remove_user),
    ("POST", r"users/(-?\d{1,16})/photo", change_photo),
    ("DELETE", r"users/(-?\d{1,16})/photo", hide_photo),
    ("POST", r"users/(-?\d{1,16})/photo/announcements", announce_photo),
    ("POST", r"users/(-?\d{1,16})/messages", write),
)
