"""Authenticates the caller: a user with Mini App init data, or a server with an API key.

Init data is a bearer secret without a nonce: it comes in the header only, never in a URL or a log. Checked as
core.telegram.org/bots/webapps describes, with HMAC("WebAppData", token): the token itself never gets here.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from redis.exceptions import RedisError

from warmer.keys import MAX_ID
from warmer.names import NAME_MAX, is_blank, without_controls
from warmer.redis_errors import is_full
from web.api.callers import Caller, Role
from web.api.context import ApiContext
from web.context import get_context
from web.problems import Problem

BASIC = 'Basic realm="avatar-warmer", charset="UTF-8"'
AUTH_DATE = re.compile(r"[0-9]{1,15}")
NAME_FIELDS = ("first_name", "last_name", "username")


def require(*roles: Role, takes_basic: bool = False) -> Caller:
    """Return the caller, who has one of these roles.

    Raises Problem: 401 without a valid credential, 403 in the wrong role, 429 for too many wrong keys from an address.

    With `takes_basic`, an API key may also come as the password of HTTP Basic (RFC 7617), which browsers ask for.
    """
    scheme, _, credential = request.headers.get("Authorization", "").strip().partition(" ")
    credential = credential.strip()
    if scheme.lower() == "tma":
        caller = _check_init_data(credential)
    else:
        key = credential if scheme.lower() == "bearer" else _read_password() if takes_basic else None
        caller = _check_api_key(key) if key else None
    if caller is None:
        schemes = {"user": 'tma realm="avatar-warmer"', "server": 'Bearer realm="avatar-warmer"'}
        wanted = ", ".join([*(schemes[role] for role in roles), *([BASIC] if takes_basic else [])])
        raise Problem(401, "the credential is missing or invalid", headers={"WWW-Authenticate": wanted})
    if caller.role not in roles:
        raise Problem(403, f"this route is for a {' or a '.join(roles)}, not for a {caller.role}")
    return caller


def count_write(caller: Caller) -> None:
    """Count a write of this caller. Raises Problem: 429 over the limit."""
    get_context(ApiContext).rate_limiter.count(caller.role, caller.id, request.method)


def count_deletion(caller: Caller) -> None:
    """Count a deletion as a write. A full Redis lets it go on uncounted, to get memory. Raises Problem: 429."""
    try:
        count_write(caller)
    except RedisError as error:
        if not is_full(error):
            raise


def count_wrong_key() -> None:
    """Count a wrong key of this client. Raises Problem: 429 over the limit."""
    forwarded_for = request.headers.get("X-Forwarded-For", "")
    get_context(ApiContext).rate_limiter.count_wrong_key(request.remote_addr or "", forwarded_for)


def _check_init_data(credential: str) -> Caller | None:
    """Return the user whom valid init data names. The hash is checked before anything else is read."""
    context = get_context(ApiContext)
    if (known := context.verified.get(credential)) is not None:
        return known
    fields = _verify_init_data(credential, bytes.fromhex(context.settings.init_data_secret))
    if fields is None or not AUTH_DATE.fullmatch(fields.get("auth_date", "")):
        return None
    try:
        user = json.loads(fields.get("user", ""))
    except (ValueError, RecursionError):  # no JSON, or nested too deep
        return None
    user_id = user.get("id") if isinstance(user, dict) else None
    if not isinstance(user_id, int) or user_id is True or not 0 < user_id < MAX_ID:
        return None
    signed_at = int(fields["auth_date"])
    if not context.verified.is_current(signed_at):
        return None
    caller = Caller("user", user_id, choose_name(user))
    context.verified.put(credential, caller, signed_at)
    return caller


def _verify_init_data(credential: str, secret: bytes) -> dict[str, str] | None:
    """Return the fields of init data. Returns None unless its hash fits all others: blank, unknown, `signature`."""
    try:
        # A header arrives as Latin-1 (WSGI); clients that do not percent-encode send UTF-8.
        text = credential.encode("latin-1", "replace").decode()
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=100)
    except ValueError:
        return None
    fields = dict(pairs)
    given = fields.pop("hash", "")
    lines = "\n".join(sorted(f"{name}={value}" for name, value in fields.items()))
    expected = hmac.digest(secret, lines.encode(), "sha256").hex()
    is_valid = hmac.compare_digest(expected.encode(), given.encode())
    return fields if is_valid and len(fields) + 1 == len(pairs) else None


def choose_name(user: dict[str, Any]) -> str:
    """First and last name without control characters, else the user name or the id: no name is refused."""
    first, last, username = (text if isinstance(text := user.get(key), str) else "" for key in NAME_FIELDS)
    kept = (without_controls(name).strip()[:NAME_MAX].strip() for name in (f"{first} {last}", username))
    return next((name for name in kept if not is_blank(name)), str(user["id"]))


def _read_password() -> str:
    """Return the password of HTTP Basic, encoded as a Bearer key. Returns an empty text if it is malformed."""
    given = request.authorization
    return (given.password or "").encode().decode("latin-1") if given else ""


def _check_api_key(credential: str) -> Caller | None:
    """A valid key is never refused: nobody can lock a backend out."""
    if _is_api_key(credential, get_context(ApiContext)):
        return Caller("server")
    count_wrong_key()
    return None


def _is_api_key(credential: str, context: ApiContext) -> bool:
    """Try every key, each in constant time."""
    given = credential.encode("latin-1", "replace")  # in the encoding of headers (WSGI)
    return sum(hmac.compare_digest(key.get_secret_value().encode(), given) for key in context.settings.api_keys) > 0


def recall(authorization: str, context: ApiContext) -> Caller | None:
    """Return the caller with an API key, or with init data that was verified a moment ago.

    Returns None if `require` must decide. Works outside of Flask, and waits for nothing.
    """
    scheme, _, credential = authorization.strip().partition(" ")
    scheme, credential = scheme.lower(), credential.strip()
    if scheme == "tma":
        return context.verified.get(credential)
    return Caller("server") if scheme == "bearer" and credential and _is_api_key(credential, context) else None
