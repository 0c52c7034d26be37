"""Every Redis key and its TTL: the schema of the database, and the only place that spells a key.

A *subject* is what work is done for: a file id (`AgAC…`), or `user:42` for the picture that id 42 shows now.
`{subject}` is the hash tag: all keys of one picture live in one slot of a cluster. Its tombstone lives there, too, and
does not spell the subject: `{hash}` ends with four characters that bring it into the slot. All keys start with
`v2:<bot id>:`.

| key | type, TTL in seconds | what | written by | read by |
|---|---|---|---|---|
| `{fid}:<size>.<fmt>` | string, PHOTO_TTL | a variant: header with the ETag, then the bytes | photos | photos |
| `{fid}:preview` | string, PHOTO_TTL | JSON: inline preview, unique id | photos | photos |
| `{fid}:path` | string, FILE_PATH_TTL | JSON: resolved file path, unique id | photos | photos |
| `{subject}:unavailable` | string, by cause, growing (flow/retry) | the cause | photos | photos |
| `{subject}:failures` | counter, FAILURES_SECONDS | failures in a row, until it is given up | photos | photos |
| `{subject}:failing` | string, FAILURES_SECONDS | the kind of these failures | photos | photos |
| `{subject}:retries` | counter, FAILURES_SECONDS | in a row, for the pause alone | photos, people, outage | photos |
| `{subject}:backoff` | string, until the next attempt (flow/retry) | a failure: no attempt before | lease | lease |
| `{subject}:negative_count` | counter, FAILURES_SECONDS after the entry | entries in a row | photos | photos |
| `{subject}:lease` | token, LEASE_SECONDS | the worker that has it | lease | lease, photos |
| `{subject}:refresh` | string, REFRESH_SECONDS | token: look its profile up now | refreshes | lease, refreshes |
| `{subject}:refreshed` | string, REFRESHED_SECONDS | it was looked up for a refresh | refreshes | lease, refreshes |
| `{subject}:enqueued:<lane>` | string, PHOTO_WAIT + ENQUEUED_EXTRA_SECONDS | it is queued | publish | publish, lease |
| `{fid}:wanted` | set, WANTED_SECONDS | variants that clients wait for, such as `160.jpeg` | publish | lease, photos |
| `{fid}:people` | set, no TTL | ids that show it, or serve it until the next one | records | people, photos |
| `{subject}:crashes` | set, no TTL | leases whose decode ended its process, or goes on | lease, photos | lease |
| `{hash}:forgotten` | string, no TTL | tombstone of a subject, named by a hash of bot and subject | photos | photos |
| `tombstones` | sorted set, no TTL | names of tombstones by instant, in seconds | photos, tombstones | tombstones |
| `person:<id>` | string, no TTL; PHOTO_TTL unless registered | JSON: the record of an id | records | people |
| `events:{…person:<id>}` | list, no TTL | JSON: undelivered events of an id, oldest first | records | outbox |
| `sending:{…person:<id>}` | token, SENDING_SECONDS | the worker that sends one | sending | sending, outbox |
| `undelivered` | sorted set, no TTL | ids with events by their next attempt, in seconds | outbox | outbox |
| `receiver` | hash, no TTL | of the webhook: failures in a row, its pause, whether it said 410 | outbox | outbox |
| `{dead}:people` | sorted set, STATS_SECONDS | ids with a dead event, by instant, in seconds | outbox | outbox |
| `{dead}:reasons` | hash, STATS_SECONDS | JSON by id: the event, and why it was given up | outbox | outbox |
| `recent` | sorted set, no TTL | ids by first registration, in microseconds | people | people |
| `remembered:{…recent}` | string, REMEMBERED_SECONDS | a web process lists from memory | remembered | remembered |
| `schedule` | sorted set, no TTL | subjects by the instant of their next run, in seconds | schedule | schedule |
| `budget` | hash, no TTL | tokens, at, paused_(at, until), halted, halted_at, ill:…, probe_at:… | budget | budget |
| `outage:<kind>` | set, OUTAGE_SECONDS or REFUSED_SECONDS | subjects that failed together | outage | outage, photos |
| `verdict:<call>` | string, ASKING_SECONDS or VERDICT_SECONDS | asking, ill, well, alone, unknown | outage | outage |
| `slot:<task>` | string, SLOT_SHARE of the period | this round of a periodic task is taken | schedule | schedule |
| `stats:<minute>` | hash, STATS_SECONDS | figures of that minute, see stats | stats | stats |
| `{failed}:subjects` | sorted set, STATS_SECONDS | the last that failed, by instant, in seconds | failures | failures |
| `{failed}:reasons` | hash, STATS_SECONDS | JSON by subject: why it failed | failures | failures |
| `workers` | sorted set, no TTL | workers of the last hour by their last heartbeat, in seconds | heartbeat | workers |
| `worker:<name>` | string, HEARTBEAT_SECONDS | JSON: heartbeat, with the state of the bot | heartbeat | workers |
| `started:<name>` | string, SEEN_SECONDS (state/workers) | when a worker started, in seconds | heartbeat | workers |
| `beat` | string, HEARTBEAT_SECONDS | the scheduler's heartbeat | beat_scheduler | workers |
| `{probe}:<type>` | of each type, RIGHTS_SECONDS | nothing: shows which commands the ACL permits | rights | rights |
| `limits:…` | counter, 60 s | writes of a caller, whose id is hashed, within the minute | rate_limit | rate_limit |
| `{news}:acknowledged:<nonce>` | list, ACKNOWLEDGED_SECONDS | processes that saw all purges | purge_listener | forget |
| `queue:…` | kombu's own | queues and unacknowledged messages, without TTL | kombu | kombu |

Channels, heard by web/photos/purge_listener.py, `PurgeListener._act_on`: `done` carries a subject and one of stored,
done, unavailable, postponed and forgotten: clients that wait look again. `purge` carries a subject that was forgotten,
or `user:<id>` when that id shows another picture, or lists show another name: no process may answer for it from memory.
`acknowledge` carries the `acknowledged` key that every listener pushes to. The last two share a slot: one node of a
cluster keeps the order of its messages and knows its subscribers.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Literal, Self

from warmer.slots import move_to_slot_of

Lane = Literal["hot", "warm", "rewarm"]
QUEUES = ("tick", "webhook", "hot", "warm", "rewarm")  # strictly in this order; events take few threads at a time

DOWNLOAD = "download"  # as outages and metrics name this call, beside the methods
CALLS = ("getUserProfilePhotos", "getChat", "getFile", DOWNLOAD)  # about one subject
REFUSED = "refused"  # the answer `temporarily unavailable`
OUTAGES = (*CALLS, "halt", REFUSED)  # what subjects fail by together; "halt": the bot is refused

# Seconds until a key expires, see the table. PHOTO_TTL, FILE_PATH_TTL and PHOTO_WAIT are settings.
LEASE_SECONDS = 30  # longer than a job's total deadline of 20 s
ENQUEUED_EXTRA_SECONDS = 3.0
WANTED_SECONDS = 60
FAILURES_SECONDS = 86_400  # how long a failure counts, and how long an expired negative cache entry does
REFRESH_SECONDS = 3600  # how long a refresh stays wanted while Telegram does not answer
REFRESHED_SECONDS = 60  # between two refreshes of a profile
OUTAGE_SECONDS = 30  # without another failure, the failed subjects are forgotten: each has its own retry
REFUSED_SECONDS = 1200  # the same for `temporarily unavailable`: longer than the longest pause between two tries
ASKING_SECONDS = 10  # a job that asks for a good subject ends within 4 s, or with its process
VERDICT_SECONDS = 2  # as long as between two probes
SLOT_SHARE = 0.9  # less than the period, or a beat that ticks a millisecond early loses its round
SENDING_SECONDS = 8  # after the last renewal (webhook/renewal)
REMEMBERED_SECONDS = 1.5  # longer than LIST_SECONDS in state/remembered.py: clocks differ in speed
STATS_SECONDS = 25 * 3600
HEARTBEAT_SECONDS = 15  # a process without a heartbeat for so long counts as gone
RIGHTS_SECONDS, ACKNOWLEDGED_SECONDS = 1, 5

FILE_ID = re.compile(r"[A-Za-z0-9_-]{20,256}")  # one with a dot would be taken for a URL by Telegram
USER_ID = re.compile(r"0|-?[1-9][0-9]{0,15}")
MAX_ID = 2**52  # Bot API: ids have at most 52 significant bits


class Subject(str):
    """A picture (its file id) or a person or chat (`user:42`). It is the text that Redis, messages and logs show."""

    __slots__ = ()

    @classmethod
    def of_person(cls, user_id: int) -> Self:
        """Return the subject of the picture that this person or chat shows now."""
        return cls(f"user:{user_id}")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the subject that a user spells as a file id or an id. Returns None if it is neither."""
        if (user_id := parse_user_id(text)) is not None:
            return cls.of_person(user_id)
        return cls(text) if FILE_ID.fullmatch(text) else None

    @property
    def is_person(self) -> bool:
        return self.startswith("user:")

    @property
    def user_id(self) -> int:
        """The id of the person or chat. Raises ValueError for a picture."""
        if not self.is_person:
            raise ValueError("the subject is a picture")
        return int(self[5:])

    @property
    def file_id(self) -> str:
        """The file id of the picture. Raises ValueError for a person or chat."""
        if self.is_person:
            raise ValueError("the subject is a person")
        return str(self)


def parse_user_id(text: str) -> int | None:
    """Return the id that a path or a URL spells. Returns None if it is malformed: each id has one spelling."""
    return int(text) if USER_ID.fullmatch(text) and abs(int(text)) < MAX_ID else None


class Keys:
    """The keys of one bot."""

    def __init__(self, bot_id: str) -> None:
        self.prefix = f"v2:{bot_id}:"
        self.recent, self.queue_prefix = f"{self.prefix}recent", f"{self.prefix}queue:"
        self.remembered = f"{self.prefix}remembered:{{{self.recent}}}"  # in the slot of `recent`, as events are
        self.schedule, self.budget = f"{self.prefix}schedule", f"{self.prefix}budget"
        self.tombstones, self.limits = f"{self.prefix}tombstones", f"{self.prefix}limits"
        self.workers, self.beat = f"{self.prefix}workers", f"{self.prefix}beat"
        self.probe, self.done = f"{self.prefix}{{probe}}", f"{self.prefix}done"
        self.purge, self.acknowledge = f"{self.prefix}{{news}}:purge", f"{self.prefix}{{news}}:acknowledge"
        self.undelivered, self.receiver = f"{self.prefix}undelivered", f"{self.prefix}receiver"
        self.dead, self.dead_reasons = self._of("dead", "people"), self._of("dead", "reasons")
        self.failed, self.reasons = self._of("failed", "subjects"), self._of("failed", "reasons")

    def variant(self, file_id: str, size: int, fmt: str) -> str:
        return self._of(file_id, f"{size}.{fmt}")

    def preview(self, file_id: str) -> str:
        return self._of(file_id, "preview")

    def path(self, file_id: str) -> str:
        return self._of(file_id, "path")

    def unavailable(self, subject: str) -> str:
        return self._of(subject, "unavailable")

    def failures(self, subject: str) -> str:
        return self._of(subject, "failures")

    def failing(self, subject: str) -> str:
        return self._of(subject, "failing")

    def retries(self, subject: str) -> str:
        return self._of(subject, "retries")

    def backoff(self, subject: str) -> str:
        return self._of(subject, "backoff")

    def negative_count(self, subject: str) -> str:
        return self._of(subject, "negative_count")

    def lease(self, subject: str) -> str:
        return self._of(subject, "lease")

    def refresh(self, subject: str) -> str:
        return self._of(subject, "refresh")

    def refreshed(self, subject: str) -> str:
        return self._of(subject, "refreshed")

    def enqueued(self, subject: str, lane: Lane) -> str:
        return self._of(subject, f"enqueued:{lane}")

    def wanted(self, file_id: str) -> str:
        return self._of(file_id, "wanted")

    def people(self, file_id: str) -> str:
        return self._of(file_id, "people")

    def crashes(self, subject: str) -> str:
        return self._of(subject, "crashes")

    def forgotten(self, subject: str) -> str:
        """The tombstone: it does not spell the subject, but tells whoever knows the subject that it was forgotten."""
        digest = blake2b(f"{self.prefix}{subject}".encode(), digest_size=12, person=b"tombstone").digest()
        return self._of(move_to_slot_of(subject, urlsafe_b64encode(digest)), "forgotten")

    def negatives(self, subject: str) -> list[str]:
        """The negative cache of a subject, and the counts that end with it."""
        kinds = (self.unavailable, self.failures, self.negative_count, self.retries, self.failing)
        return [kind(subject) for kind in kinds]

    def outage(self, kind: str) -> str:
        """`kind`: one of OUTAGES."""
        return f"{self.prefix}outage:{kind}"

    def verdict(self, call: str) -> str:
        return f"{self.prefix}verdict:{call}"

    def person(self, user_id: int) -> str:
        return f"{self.prefix}person:{user_id}"

    def events(self, user_id: int) -> str:
        """In the slot of the record, as `sending` is: the whole name of its key is the hash tag."""
        return f"{self.prefix}events:{{{self.person(user_id)}}}"

    def sending(self, user_id: int) -> str:
        return f"{self.prefix}sending:{{{self.person(user_id)}}}"

    def slot(self, task: str) -> str:
        return f"{self.prefix}slot:{task}"

    def stats(self, minute: int) -> str:
        return f"{self.prefix}stats:{minute}"

    def worker(self, name: str) -> str:
        return f"{self.prefix}worker:{name}"

    def started(self, name: str) -> str:
        return f"{self.prefix}started:{name}"

    def acknowledged(self, nonce: str) -> str:
        return f"{self.prefix}{{news}}:acknowledged:{nonce}"

    def _of(self, subject: str, name: str) -> str:
        return f"{self.prefix}{{{subject}}}:{name}"
