"""Authenticates the caller: a user with Mini App init data, or a server with an API key.

Init data is a bearer secret without a nonce: it comes in the header only, never in a URL or a log. Checked as
core.telegram.org/bots/webapps describes, with HMAC("WebAppData", token): the token itself never gets here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from flask import request
from init_data_py import validate_by_hash
from init_data_py.errors import InvalidInitDataError
from init_data_py.models import User

from warmer.keys import MAX_ID
from warmer.names import NAME_MAX, is_blank, without_controls
from web.api.context import ApiContext
from web.api.rate_limit import find_client_address
from web.context import get_context
from web.problems import Problem

Role = Literal["user", "server"]
BASIC = 'Basic realm="avatar-warmer", charset="UTF-8"'
CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller; a user has an id and a name."""

    role: Role
    id: int = 0
    name: str = ""


def require(*roles: Role, takes_basic: bool = False) -> Caller:
    """The caller, in one of these roles.

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


def _check_init_data(credential: str) -> Caller | None:
    context = get_context(ApiContext)
    settings, now = context.settings, context.wall_clock()
    try:
        data = validate_by_hash(
            # A header arrives as Latin-1 (WSGI); clients that do not percent-encode send UTF-8.
            credential.encode("latin-1", "replace"),
            settings.init_data_secret,
            token_hashed=True,
            expires_in=settings.init_data_max_age,
            now=datetime.fromtimestamp(now, UTC),
        )
    except (InvalidInitDataError, RecursionError, OverflowError):  # the last two: nested too deep, the year 9999
        return None
    user = data.user
    if user is None or data.auth_date > now + CLOCK_SKEW_SECONDS or not 0 < user.id < MAX_ID:
        return None
    return Caller("user", user.id, clean_name(user))


def clean_name(user: User) -> str:
    """First and last name without control characters, else the user name or the id: no name is refused."""
    names = (f"{user.first_name} {user.last_name or ''}", user.username or "")
    kept = (without_controls(name).strip()[:NAME_MAX].strip() for name in names)
    return next((name for name in kept if not is_blank(name)), str(user.id))


def _read_password() -> str:
    """The password of HTTP Basic, in the encoding of a Bearer key; empty if it is malformed."""
    given = request.authorization
    return (given.password or "").encode().decode("latin-1") if given else ""


def _check_api_key(credential: str) -> Caller | None:
    """Try every key, each in constant time. A valid one is never refused: nobody can lock a backend out."""
    given, context = credential.encode("latin-1", "replace"), get_context(ApiContext)  # encoded as above
    if sum(hmac.compare_digest(key.get_secret_value().encode(), given) for key in context.settings.api_keys):
        return Caller("server")
    forwarded_for = request.headers.get("X-Forwarded-For", "")
    context.rate_limiter.count_wrong_key(find_client_address(request.remote_addr or "", forwarded_for))
    return None
