"""What Telegram said last about an id's newest picture: a cache, for registered and unregistered ids alike."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from redis import Redis

from warmer.keys import Keys, user_subject
from warmer.state.lease import Lease, require_lease
from warmer.state.scripts import load_script

FRESH_SECONDS = 60
FORMER_MAX = 50  # former pictures that forgetting covers


@dataclass(frozen=True, slots=True)
class Profile:
    """The newest picture of an id when it was last looked up."""

    file_id: str
    unique_id: str
    looked_up_at: int  # seconds of Redis' TIME
    former: list[str] = field(default_factory=list)  # file ids it was before: their URLs are still about

    def list_ever_shown(self) -> list[str]:
        """The file ids that were handed out for this id."""
        return [self.file_id, *self.former]


class Profiles:
    """Reads for everybody; writes under a claim."""

    def __init__(self, redis: Redis, keys: Keys, ttl: int, check_seconds: int) -> None:
        self.redis = redis
        self.keys = keys
        self.ttl = ttl  # seconds
        self.check_seconds = check_seconds  # what is shown is looked up again after so long
        self.fresh_seconds = min(FRESH_SECONDS, check_seconds / 2)  # one shorter ago is not
        self._note = load_script(redis, "set_leased")

    def get(self, user_id: int) -> Profile | None:
        """The newest known picture of this id."""
        return self.get_many([user_id])[0]

    def get_many(self, user_ids: Sequence[int]) -> list[Profile | None]:
        """The newest known pictures of these ids, in one round trip."""
        if not user_ids:
            return []
        values = self.redis.mget([self.keys.profile(user_id) for user_id in user_ids])
        return [_read(json.loads(value)) if value else None for value in values]

    def put(self, lease: Lease, user_id: int, file_id: str, unique_id: str) -> Profile:
        """Remember the picture, while the claim on the id is ours; raises NotMine, and Forgotten, if it is not."""
        known = self.get(user_id)
        former = [name for name in known.list_ever_shown() if name != file_id] if known else []
        profile = Profile(file_id, unique_id, int(self.redis.time()[0]), former[:FORMER_MAX])
        keys = self.keys
        written = self._note(
            keys=[keys.lease(lease.subject), keys.forgotten(lease.subject), keys.profile(user_id)],
            args=[lease.token, self.ttl, json.dumps(asdict(profile))],
        )
        require_lease(written)
        if known is None or known.file_id != file_id:
            self.redis.publish(keys.purge, lease.subject)
        return profile

    def is_aged(self, looked_up_at: int) -> bool:
        """Whether it is time to look again; by this machine's clock, a few minutes of six hours change nothing.

        A quarter late, so that the turns of the newest partners come first.
        """
        return time.time() - looked_up_at > 1.25 * self.check_seconds

    def is_older(self, profile: Profile, seconds: float) -> bool:
        """Whether the look-up is longer ago than so many seconds."""
        return self.redis.time()[0] - profile.looked_up_at > seconds

    def mark_old(self, user_id: int) -> None:
        """Look this one up again at the next occasion; its picture is served until then."""
        known: Any = self.redis.get(self.keys.profile(user_id))
        if known:
            value = json.dumps(json.loads(known) | {"looked_up_at": 0})
            self.redis.set(self.keys.profile(user_id), value, xx=True, keepttl=True)

    def note_registration(self, user_id: int) -> None:
        """A user has registered; one time more within the minute changes nothing."""
        milliseconds = max(1, int(self.fresh_seconds * 1000))
        self.redis.set(self.keys.registered(user_subject(user_id)), "1", nx=True, px=milliseconds)

    def has_registered(self, user_id: int) -> bool:
        """Whether the user has registered within the minute."""
        return bool(self.redis.exists(self.keys.registered(user_subject(user_id))))

    def drop(self, user_id: int) -> None:
        """What we knew does not hold any more."""
        self.redis.delete(self.keys.profile(user_id))
        self.redis.publish(self.keys.purge, user_subject(user_id))


def _read(said: dict[str, Any]) -> Profile:
    """What another release may have written: fields that we do not know are left out."""
    return Profile(**{name: said[name] for name in Profile.__dataclass_fields__ if name in said})
