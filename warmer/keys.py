"""Every Redis key: the schema of the database, and the only place that spells a key.

A *subject* is what work is done for: a file id (`AgAC…`), or `user:42` for the picture that id 42 shows now.
`{subject}` is the hash tag: all keys of one picture live in one slot of a cluster. All start with `v1:<bot id>:`.

| key | type, TTL | what | written by | read by |
|---|---|---|---|---|
| `{fid}:<size>.<fmt>` | string, PHOTO_TTL | a variant: header with the ETag, then the bytes | store | store |
| `{fid}:preview` | string, PHOTO_TTL | JSON: inline preview, unique id | store | store |
| `{fid}:path` | string, FILE_PATH_TTL | JSON: resolved file path, unique id | store | store |
| `{subject}:unavailable` | string, by cause, growing | the cause | store | store |
| `{subject}:failures` | counter, 1 day | failures in a row, for growing backoff | store | store |
| `{subject}:memories` | counter, 1 day after the memory | memories in a row, for growing ones | store | store |
| `{subject}:claim` | token, 30 s | the worker that is at it | claim | claim, store |
| `{subject}:asked:<lane>` | string, PHOTO_WAIT + 3 s | a message is on its way there | publish | publish, claim |
| `{fid}:wanted` | set, 60 s | variants somebody waits for, such as `160.jpeg` | store | claim, store |
| `{fid}:partners` | set, no TTL | ids of the partners that show it, or showed it before | partners | partners, store |
| `{subject}:attempts` | counter, no TTL | claims without an outcome | claim | claim |
| `{subject}:forgotten` | string, PHOTO_TTL | tombstone | store | store |
| `{subject}:registered` | string, 60 s at most | a user who has just registered | partners | partners |
| `{user:<id>}:profile` | string, PHOTO_TTL | JSON: the newest picture of that id | partners | partners |
| `partner:<id>` | string, no TTL | JSON: the partner; unknown fields are kept | partners | partners |
| `recent` | sorted set, no TTL | partner ids by first registration, in microseconds | partners | partners |
| `due` | sorted set, no TTL | subjects by the instant of their next turn, in seconds | due | due |
| `budget` | hash, no TTL | tokens, at, paused_until, halted | budget | budget |
| `slot:<task>` | string, the task's period | this round of a periodic task is taken | due | due |
| `stats:<minute>` | hash, 25 h | figures of that minute, see stats | stats | stats |
| `{failed}:subjects` | sorted set, 25 h | the last subjects that failed, by instant, in seconds | failures | failures |
| `{failed}:reasons` | hash, 25 h | JSON by subject: why it failed | failures | failures |
| `workers` | sorted set, no TTL | names of workers by their last heartbeat, in seconds | heartbeat | pulse |
| `worker:<name>` | string, 15 s | JSON: heartbeat, with the state of the bot | heartbeat | pulse |
| `limits:…` | counter, 60 s | writes of a caller, whose id is hashed, within the minute | rate_limit | rate_limit |
| `{news}:heard:<nonce>` | list, 5 s | one for each web process that has heard all so far | listener | echo |
| `queue:…` | kombu's own | queues and unacknowledged messages, without TTL | kombu | kombu |

Channels: `done` carries `<subject> <outcome>`; `purge` a subject that was forgotten, or `user:<id>` when that id shows
another picture: no process may answer from memory for it; `echo` the `heard` key that every listener pushes to. The
last two have a slot: what one node of a cluster says keeps its order, and it knows who listens.
"""

from __future__ import annotations

import re
from typing import Literal

Lane = Literal["hot", "warm", "rewarm"]
QUEUES = ("tick", "hot", "warm", "rewarm")  # strictly in this order: bookkeeping, a client waits, eager, renewals

FILE_ID = re.compile(r"[A-Za-z0-9_-]{20,256}")  # one with a dot would be taken for a URL by Telegram
USER_ID = re.compile(r"0|-?[1-9][0-9]{0,15}")
MAX_ID = 2**52  # Bot API: ids have at most 52 significant bits


def user_subject(user_id: int) -> str:
    """The subject of "the picture that this id shows now"."""
    return f"user:{user_id}"


def user_of(subject: str) -> int | None:
    """The id inside a user subject, None for a file id."""
    return int(subject.removeprefix("user:")) if subject.startswith("user:") else None


def parse_user_id(text: str) -> int | None:
    """The id that a path or a URL spells, None if it is malformed: each id has one spelling, so one signature."""
    return int(text) if USER_ID.fullmatch(text) and abs(int(text)) < MAX_ID else None


class Keys:
    """The keys of one bot."""

    def __init__(self, bot_id: str) -> None:
        self.prefix = f"v1:{bot_id}:"
        self.recent = f"{self.prefix}recent"
        self.due = f"{self.prefix}due"
        self.budget = f"{self.prefix}budget"
        self.workers = f"{self.prefix}workers"
        self.done = f"{self.prefix}done"
        self.purge = f"{self.prefix}{{news}}:purge"
        self.echo = f"{self.prefix}{{news}}:echo"
        self.queue_prefix = f"{self.prefix}queue:"
        self.limits = f"{self.prefix}limits"
        self.failed = self._of("failed", "subjects")
        self.reasons = self._of("failed", "reasons")

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

    def memories(self, subject: str) -> str:
        return self._of(subject, "memories")

    def claim(self, subject: str) -> str:
        return self._of(subject, "claim")

    def asked(self, subject: str, lane: Lane) -> str:
        return self._of(subject, f"asked:{lane}")

    def wanted(self, file_id: str) -> str:
        return self._of(file_id, "wanted")

    def partners(self, file_id: str) -> str:
        return self._of(file_id, "partners")

    def attempts(self, subject: str) -> str:
        return self._of(subject, "attempts")

    def forgotten(self, subject: str) -> str:
        return self._of(subject, "forgotten")

    def profile(self, user_id: int) -> str:
        return self._of(user_subject(user_id), "profile")

    def registered(self, subject: str) -> str:
        return self._of(subject, "registered")

    def partner(self, user_id: int) -> str:
        return f"{self.prefix}partner:{user_id}"

    def slot(self, task: str) -> str:
        return f"{self.prefix}slot:{task}"

    def stats(self, minute: int) -> str:
        return f"{self.prefix}stats:{minute}"

    def worker(self, name: str) -> str:
        return f"{self.prefix}worker:{name}"

    def heard(self, nonce: str) -> str:
        return f"{self.prefix}{{news}}:heard:{nonce}"

    def _of(self, subject: str, name: str) -> str:
        return f"{self.prefix}{{{subject}}}:{name}"
