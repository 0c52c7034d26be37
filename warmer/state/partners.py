"""Who is shown: partners in the order of their first registration, and which picture each of them shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from warmer.keys import Keys, Subject, user_subject
from warmer.state.scripts import load_script

RECENT_CAP = 10_000  # partners that can be listed or kept warm, REWARM_PARTNERS if more; records have no cap
FORMER_MAX = 50  # former pictures of a partner that forgetting it covers
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Partner:
    """A person or chat the bot knows.

    `is_pinned`: the picture was given with the partner and is not looked up. `previous_file_id` is served under the
    partner's own URL until the current picture is ready.
    """

    id: int
    name: str
    joined_us: int  # first registration, microseconds of Redis' TIME
    photo_file_id: str | None = None
    photo_unique_id: str | None = None
    is_pinned: bool = False
    previous_file_id: str | None = None
    looked_up_at: int = 0  # when the profile was followed last, seconds of Redis' TIME


def subject_of(partner: Partner) -> str:
    """What is warmed for a partner: its picture, or its profile while no picture is known."""
    return partner.photo_file_id or user_subject(partner.id)


class PartnerDirectory:
    """The durable records, the order, and for each picture who shows it."""

    def __init__(self, redis: Redis, keys: Keys, keep: int) -> None:
        self.redis = redis
        self.keys = keys
        self.keep = keep  # the newest so many are kept warm
        self._replace = load_script(redis, "replace")

    def register(self, partner_id: int, name: str, file_id: str | None, *, unpin: bool = True) -> tuple[Partner, bool]:
        """Add or update a partner; whether it is new. Registering again never changes its place.

        A file id is pinned. Without one the partner follows the profile, unless it is pinned already and `unpin` is
        false; a picture it shows stays until a newer one is ready.
        """
        seconds, micros = self.redis.time()
        now_us, replaced = seconds * 1_000_000 + micros, []

        def change(record: Record) -> Record:
            is_pinned = file_id is not None or (record.get("is_pinned", False) and not unpin)
            record.update(id=partner_id, name=name, is_pinned=is_pinned)
            record.setdefault("joined_us", now_us)
            old, older = record.get("photo_file_id"), record.get("previous_file_id")
            if file_id is not None and file_id != old:
                replaced.append(older)
                record.update(photo_file_id=file_id, photo_unique_id=None, previous_file_id=old)
                _note_former(record, old)
            return record

        if file_id is not None:
            self.redis.sadd(self.keys.partners(file_id), partner_id)
        record, created = self._update(partner_id, change, create=True)
        self.redis.zadd(self.keys.recent, {str(partner_id): record["joined_us"]}, nx=True)
        self.redis.zremrangebyrank(self.keys.recent, 0, -1 - max(RECENT_CAP, self.keep))
        self._show_anew(partner_id, replaced, record)
        return _partner(record), created

    def adopt(self, partner_id: int, file_id: str, unique_id: str) -> bool:
        """Show this picture, found by following the profile; False where the partner is gone or pinned meanwhile."""
        replaced: list[str | None] = []

        def change(record: Record) -> Record:
            if not record.get("is_pinned"):
                if record.get("photo_file_id") != file_id:
                    replaced.extend((record.get("photo_file_id"), record.get("previous_file_id")))
                    _note_former(record, record.get("photo_file_id"))
                record.update(photo_file_id=file_id, photo_unique_id=unique_id, previous_file_id=None)
                record.update(looked_up_at=now)
            return record

        now = self.redis.time()[0]
        self.redis.sadd(self.keys.partners(file_id), partner_id)
        record, _ = self._update(partner_id, change, create=False)
        is_shown = record.get("photo_file_id") == file_id
        self._show_anew(partner_id, replaced if is_shown else [file_id], record)
        return is_shown

    def drop_photo(self, partner_id: int) -> list[str]:
        """The profile shows no picture any more; the file ids that this partner ever showed."""
        dropped: list[str] = []

        def change(record: Record) -> Record:
            if not record.get("is_pinned"):
                dropped[:] = _list_ever_shown(record)
                record.update(photo_file_id=None, photo_unique_id=None, previous_file_id=None, former_file_ids=[])
            return record

        self._update(partner_id, change, create=False)
        self.redis.publish(self.keys.purge, user_subject(partner_id))
        return dropped

    def list_photos(self, partner_id: int) -> list[str]:
        """The file ids that this partner shows."""
        return _list_shown(self._load(self.redis.get(self.keys.partner(partner_id))))

    def list_ever_shown(self, partner_id: int) -> list[str]:
        """The same, and the file ids whose URLs were handed out for it before."""
        return _list_ever_shown(self._load(self.redis.get(self.keys.partner(partner_id))))

    def remove(self, partner_id: int) -> list[str]:
        """Delete record and place; the file ids it ever showed, to the end."""
        self.redis.zrem(self.keys.recent, str(partner_id))
        return _list_ever_shown(self._load(self.redis.getdel(self.keys.partner(partner_id))))

    def drop_places(self, partner_ids: Sequence[int]) -> None:
        """Take ids without a record out of the order: a forgetting in the middle of a registration leaves a place."""
        if partner_ids:
            self.redis.zrem(self.keys.recent, *map(str, partner_ids))

    def get(self, partner_id: int) -> Partner | None:
        """The partner, if it is registered."""
        return self.get_many([partner_id])[0]

    def get_many(self, partner_ids: Sequence[int]) -> list[Partner | None]:
        """The partners with these ids, None for an unknown one, in one round trip."""
        if not partner_ids:
            return []
        values = self.redis.mget([self.keys.partner(partner_id) for partner_id in partner_ids])
        return [_partner(self._load(value)) if value else None for value in values]

    def list_recent(self, limit: int) -> list[Partner]:
        """The newest partners, newest first."""
        return [partner for partner in self.get_many(self.list_recent_ids(limit)) if partner]

    def list_recent_ids(self, limit: int) -> list[int]:
        """The ids of the newest partners, newest first."""
        members: list[Any] = self.redis.zrange(self.keys.recent, 0, limit - 1, desc=True) if limit else []
        return [int(member) for member in members]

    def is_kept_warm(self, subject: str) -> bool:
        """Whether one of the newest partners shows it, so that it is kept warm and up to date."""
        subject = Subject(subject)
        pipe = self.redis.pipeline(transaction=False)
        for member in [subject.user_id] if subject.is_person else self._list_showing(subject):
            pipe.zrevrank(self.keys.recent, str(member))
        return any(rank is not None and rank < self.keep for rank in pipe.execute())

    def list_following(self, file_id: str) -> list[int]:
        """The partners that show this picture because their profile did."""
        members: Any = self.redis.smembers(self.keys.partners(file_id)) if not Subject(file_id).is_person else ()
        partners = self.get_many([int(member) for member in members])
        return [partner.id for partner in partners if partner and not partner.is_pinned]

    def _list_showing(self, file_id: str) -> list[int]:
        """The partners whose newest picture this is; one that is only shown until then lives its TTL out."""
        members: Any = self.redis.smembers(self.keys.partners(file_id))
        partners = self.get_many([int(member) for member in members])
        return [partner.id for partner in partners if partner and partner.photo_file_id == file_id]

    def _show_anew(self, partner_id: int, file_ids: list[str | None], record: Record) -> None:
        """Nobody answers from memory for this id; it is taken off the pictures that it shows no more."""
        if file_ids:
            self.redis.publish(self.keys.purge, user_subject(partner_id))
        for file_id in file_ids:
            if file_id and file_id not in _list_shown(record):
                self.redis.srem(self.keys.partners(file_id), partner_id)

    def _update(self, partner_id: int, change: Callable[[Record], Record], *, create: bool) -> tuple[Record, bool]:
        """Read, change and write one record, again if somebody else wrote meanwhile; unknown fields stay."""
        key = self.keys.partner(partner_id)
        while True:
            value: Any = self.redis.get(key)
            if value is None and not create:
                return {}, False
            record = change(self._load(value))
            if self._replace(keys=[key], args=[value or b"", json.dumps(record)]):
                return record, value is None

    @staticmethod
    def _load(value: Any) -> Record:
        return dict(json.loads(value)) if value else {}


def _note_former(record: Record, file_id: str | None) -> None:
    """URLs of former pictures are still about: forgetting the partner ends them, too."""
    former = [file_id, *(known for known in record.get("former_file_ids", []) if known != file_id)]
    record["former_file_ids"] = former[:FORMER_MAX] if file_id else former[1:]


def _list_shown(record: Record) -> list[str]:
    return [file_id for file_id in (record.get("photo_file_id"), record.get("previous_file_id")) if file_id]


def _list_ever_shown(record: Record) -> list[str]:
    return list(dict.fromkeys([*_list_shown(record), *record.get("former_file_ids", [])]))


def _partner(record: Record) -> Partner:
    return Partner(**{name: record[name] for name in Partner.__dataclass_fields__ if name in record})
