"""A backend with users of its own: their names come from its table, their pictures from the avatar service.

users table ─────────────────────────────────────────► names ──────┐
POST /api/photos/resolve, at most 100 ids at a time ─► picture URLs ┴► one plain page
POST /hooks/avatars, the webhook of the service ─────► users table, and a purge of the cache in front
"""

from __future__ import annotations

import csv
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import requests
from flask import Flask, render_template, request
from sqlalchemy import BigInteger, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from standardwebhooks import Webhook, WebhookVerificationError

BATCH = 100  # ids; the service refuses more at once
TAGS = 100  # in one purge, the most that Cloudflare takes
TIMEOUT_SECONDS = 2.0
HEAD_BYTES = 16 * 1024  # of a file of nginx' cache: its headers and some more

log = logging.getLogger(__name__)


class Base(DeclarativeBase):
    """Whatever tables you have."""


class User(Base):
    __tablename__ = "users"

    telegram_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    photo_url: Mapped[str | None]  # as the webhook told last, with the time of the event
    photo_srcset: Mapped[str | None]
    told_at: Mapped[str] = mapped_column(default="")


@dataclass(frozen=True)
class Avatars:
    """The avatar service, and the key that it gave this backend."""

    url: str
    key: str

    def resolve(self, ids: Sequence[int]) -> dict[str, dict[str, Any]]:
        """Status of the picture of each id; of none whose batch the service did not answer in time."""
        photos: dict[str, dict[str, Any]] = {}
        try:
            for start in range(0, len(ids), BATCH):
                photos |= self._resolve_batch(ids[start : start + BATCH])
        except requests.RequestException as error:  # the first ends it: each more could take two seconds, too
            log.warning("The page goes out with fewer pictures: %s", error)
        return photos

    def _resolve_batch(self, ids: Sequence[int]) -> dict[str, dict[str, Any]]:
        photos: dict[str, dict[str, Any]] = post(f"{self.url}/api/photos/resolve", self.key, {"ids": list(ids)})[
            "photos"
        ]
        return photos


def post(url: str, key: str, body: dict[str, Any]) -> Any:
    """Send JSON with a key. Returns the JSON of the answer. Raises RequestException, for a refusal, too."""
    with requests.Session() as session:
        session.trust_env = False  # the server is near: no proxy of the environment may see the key
        headers = {"Authorization": f"Bearer {key}"}
        answer = session.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()


def create_app() -> Flask:
    """The backend, as the environment sets it up: AVATARS_URL, AVATAR_API_KEY, DATABASE_URL.

    With AVATAR_WEBHOOK_SECRET it takes the events of the service. The cache in front drops what has one of their tags:
    nginx on this machine, whose files are in PURGE_FOLDER, or one with a PURGE_URL and a PURGE_KEY.
    """
    app = Flask(__name__)
    avatars = Avatars(os.environ.get("AVATARS_URL", "http://127.0.0.1:8000"), os.environ["AVATAR_API_KEY"])
    engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///users.db"))
    Base.metadata.create_all(engine)

    @app.get("/")
    def list_users() -> str:
        with Session(engine) as session:
            users = session.scalars(select(User).order_by(User.name)).all()
        known = {user.telegram_id: {"photo_url": user.photo_url, "photo_srcset": user.photo_srcset} for user in users}
        # The webhook tells of the others, also that a picture is gone: `resolve` would bring back a forgotten person.
        photos = avatars.resolve([user.telegram_id for user in users if not user.told_at])
        people = [show(user, photos.get(str(user.telegram_id), known[user.telegram_id]), avatars.url) for user in users]
        return render_template("users.html", people=people)

    @app.post("/hooks/avatars")
    def note_event() -> tuple[str, int]:
        """Another picture is ready, or there is none any more. A failure is answered 5xx: the event comes again."""
        try:
            event = Webhook(os.environ["AVATAR_WEBHOOK_SECRET"]).verify(request.get_data(), dict(request.headers))
        except (KeyError, ValueError, WebhookVerificationError):  # of headers that no sender would make, too
            return "", 401
        with Session(engine) as session, session.begin():
            note(session, event)
        purge(event["data"]["cache_tags"])
        return "", 204

    @app.cli.command("add-users")
    def add_users() -> None:
        """Add users, or rename them: lines of `telegram id,name` on the standard input."""
        with Session(engine) as session, session.begin():
            for telegram_id, name in csv.reader(sys.stdin):
                session.merge(User(telegram_id=int(telegram_id), name=name))

    return app


def note(session: Session, event: dict[str, Any]) -> None:
    """Update the row of the user. An event may come twice, and after a later one: its time decides."""
    data = event["data"]
    user = session.get(User, data["id"])
    if user is not None and event["timestamp"] > user.told_at:
        user.told_at = event["timestamp"]
        user.photo_url, user.photo_srcset = data.get("photo_url"), data.get("photo_srcset")


def purge(tags: Sequence[str]) -> None:
    """Let the cache in front drop what has one of these tags."""
    if tags and (folder := os.environ.get("PURGE_FOLDER")):
        purge_nginx(Path(folder), tags)
    url = os.environ.get("PURGE_URL")
    for start in range(0, len(tags) if url else 0, TAGS):  # in the form of Cloudflare's API
        post(str(url), os.environ.get("PURGE_KEY", ""), {"tags": list(tags[start : start + TAGS])})


def purge_nginx(folder: Path, tags: Sequence[str]) -> None:
    """Remove the answers with one of these tags from the folder of nginx' cache: nginx asks for them again.

    Raises OSError if the folder does not exist, or if it or a file cannot be read.
    """
    either = "|".join(map(re.escape, tags)).encode()
    tagged = re.compile(rb"^cache-tag:[^\r\n]*(?:" + either + rb")", re.IGNORECASE | re.MULTILINE)

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) or error.filename == str(folder):
            raise error  # what cannot be read would stay

    for place, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            with suppress(FileNotFoundError):  # nginx removes files and folders, too
                with Path(place, name).open("rb") as answer:
                    is_tagged = tagged.search(answer.read(HEAD_BYTES))
                if is_tagged:
                    Path(place, name).unlink()


def show(user: User, photo: dict[str, Any], avatars_url: str) -> dict[str, str | None]:
    """Return the values that the page needs of one user. `src` is None if no picture is known."""
    letters = [word[0] for word in user.name.split() if word[0].isalnum()]  # the service refuses any other
    initials = "".join(letters[:2]).upper()[:2]
    url, srcset = photo.get("photo_url"), photo.get("photo_srcset")
    if not url or not srcset:
        return {"name": user.name, "initials": initials, "src": None}
    placeholder = f"&d=initials&initials={quote(initials)}"  # for a picture that is not there yet
    sources = (f"{urljoin(avatars_url, path)}{placeholder} {width}" for path, width in split(srcset))
    return {"name": user.name, "src": urljoin(avatars_url, url) + placeholder, "srcset": ", ".join(sources)}


def split(srcset: str) -> Iterator[tuple[str, str]]:
    """`a 80w, b 160w` in pairs: the URLs of the service hold no spaces."""
    for source in srcset.split(", "):
        path, _, width = source.partition(" ")
        yield path, width
