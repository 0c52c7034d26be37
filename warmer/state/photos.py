"""The pictures in Redis: one string per variant, and beside them what is known about the picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any
from zlib import crc32

from redis import Redis
from redis.client import Pipeline

from warmer.etag import HEADER_LENGTH, StoredVariant, pack
from warmer.formats import FORMATS
from warmer.keys import FAILURES_SECONDS, OUTAGES, Keys
from warmer.photo import FilePath, PhotoStatus, Rendering, SourceImage, Unavailable, VariantSpec, version_of
from warmer.state.failures import drop_failures
from warmer.state.lease import Lease, require_lease
from warmer.state.schedule import cancel_runs
from warmer.state.scripts import load_script, queue
from warmer.state.stock import Stock, read_path, read_unique_id
from warmer.state.tombstones import lift_tombstones

TTL_JITTER = 0.1  # share of a TTL, to both sides: pictures that are stored together do not expire together


class PhotoStore:
    """Any process reads; only the holder of a lease writes, and never for a forgotten subject."""

    def __init__(self, redis: Redis, keys: Keys, sizes: Sequence[int], formats: Sequence[str], ttl: int) -> None:
        self.redis = redis
        self.keys = keys
        self.sizes = tuple(sorted(sizes))  # pixels
        self.formats = tuple(formats)
        self.ttl = ttl  # seconds
        self._put, self._set_leased = load_script(redis, "lua/put.lua"), load_script(redis, "lua/set_leased.lua")
        self._put_unavailable = load_script(redis, "lua/put_unavailable.lua")
        self._count_failure = load_script(redis, "lua/count_failure.lua")
        self._forget = load_script(redis, "lua/forget.lua")
        self._note_tombstones = load_script(redis, "lua/note_tombstones.lua")

    # Reading

    def get(self, file_id: str, size: int, fmt: str) -> StoredVariant | None:
        """Read the variant with its bytes. Returns None if it is not stored."""
        value: Any = self.redis.get(self.keys.variant(file_id, size, fmt))
        return StoredVariant.unpack(value or b"")

    def get_header(self, file_id: str, size: int, fmt: str) -> StoredVariant | None:
        """Read the variant without its bytes, which is enough for a 304. Returns None if it is not stored."""
        value: Any = self.redis.getrange(self.keys.variant(file_id, size, fmt), 0, HEADER_LENGTH - 1)
        return StoredVariant.unpack(value)

    def get_source(self, file_id: str, spec: VariantSpec) -> SourceImage | None:
        """Returns the stored variant that others are cut from, or None if it has expired since `inspect`."""
        key = self.keys.variant(file_id, *spec)
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.mget(key, self.keys.preview(file_id), self.keys.path(file_id))
        pipe.ttl(key)
        (value, about, path), ttl = pipe.execute()
        variant = StoredVariant.unpack(value or b"")
        unique_id = read_unique_id(about) or read_unique_id(path) or ""
        return SourceImage(variant.body, unique_id, ttl=None if ttl < 0 else max(1, ttl)) if variant else None

    def inspect(self, file_id: str, wanted: Collection[str] = ()) -> Stock:
        """List what is stored of the picture and what a warming has to make, in one round trip.

        `wanted`: variants such as `160.jpeg`. Each format of which one is wanted is made in all sizes.
        """
        formats = [fmt for fmt in self.formats if fmt == self.formats[0] or any(w.endswith(f".{fmt}") for w in wanted)]
        specs = [VariantSpec(size, fmt) for fmt in self.formats for size in reversed(self.sizes)]
        pipe = self.redis.pipeline(transaction=False)
        pipe.mget(self.keys.preview(file_id), self.keys.path(file_id))
        for spec in specs:
            pipe.exists(self.keys.variant(file_id, *spec))
        (preview, path), *answers = pipe.execute()
        stored = [spec for spec, is_stored in zip(specs, answers, strict=True) if is_stored]
        missing = [spec for spec in specs if spec.format in formats and spec not in stored]
        if not preview and not any(spec.format == self.formats[0] for spec in missing):
            missing.append(VariantSpec(self.sizes[0], self.formats[0]))  # the preview comes with a rendering
        sources = [spec for spec in stored if FORMATS[spec.format].is_readable]
        largest = max(sources, key=lambda spec: spec.size, default=None)  # of several formats, the first one
        return Stock(missing, largest, read_path(path))

    def get_unavailable(self, subject: str) -> Unavailable | None:
        """Read the negative cache and the tombstone. Returns the cause, or None if there is neither."""
        cause: Any
        cause, forgotten = self.redis.mget(self.keys.unavailable(subject), self.keys.forgotten(subject))
        if forgotten:
            return Unavailable("forgotten")
        return Unavailable(cause.decode()) if cause else None

    def list_answering_keys(self, subject: str, size: int, formats: Sequence[str]) -> list[str]:
        """List the keys, all of one slot, that `get`, `get_header` and `get_unavailable` read."""
        variants = [self.keys.variant(subject, size, fmt) for fmt in formats]
        return [*variants, self.keys.unavailable(subject), self.keys.forgotten(subject)]

    def get_unique_id(self, file_id: str) -> str | None:
        """Read Telegram's unique id of a picture. Returns None if the picture is not stored."""
        return read_unique_id(self.redis.get(self.keys.preview(file_id)))

    def get_version(self, file_id: str) -> str | None:
        """Read the version that lists show of a picture. Returns None if the picture is not stored."""
        return self.get_statuses([file_id])[0].version

    def get_statuses(self, subjects: Sequence[str]) -> list[PhotoStatus]:
        """Read the parts of these subjects that a list shows, in one round trip. A person is never ready itself."""
        pipe = self.redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.exists(*(self.keys.variant(subject, size, self.formats[0]) for size in self.sizes))
            pipe.mget(self.keys.preview(subject), self.keys.unavailable(subject), self.keys.forgotten(subject))
        answers = iter(pipe.execute())
        return [self._read_status(stored, *known) for stored, known in zip(answers, answers, strict=True)]

    def _read_status(self, stored: int, preview: Any, cause: bytes | None, forgotten: bytes | None) -> PhotoStatus:
        if forgotten or cause == b"none":
            return PhotoStatus("none")
        known = json.loads(preview or b"{}")
        version = version_of(known["unique_id"]) if known.get("unique_id") else None
        status = "ready" if stored == len(self.sizes) else "unavailable" if cause else "warming"
        return PhotoStatus(status, known.get("preview"), version)  # type: ignore[arg-type]  # one of Status

    # Writing, under a lease

    def put(self, lease: Lease, rendering: Rendering) -> None:
        """Store the variants and the preview, and wake the clients that wait.

        What is made from a stored variant expires with it: a copy of a copy, and so on, would lose more each time.
        Raises NotMine if the lease is lost, and Forgotten; nothing is written then.
        """
        file_id = lease.subject
        values = [(self.keys.variant(file_id, *v.spec), pack(v.body), str(v.spec)) for v in rendering.variants]
        if rendering.preview:
            about = json.dumps({"preview": rendering.preview, "unique_id": rendering.unique_id})
            values.append((self.keys.preview(file_id), about.encode(), ""))
        keys = [*self._guards(file_id), *self.keys.negatives(file_id), self.keys.crashes(file_id)]
        keys.append(self.keys.wanted(file_id))
        ttl = min(_jitter(file_id, self.ttl), rendering.max_ttl or sys.maxsize)
        args: list[Any] = [lease.token, ttl, self.keys.done, f"{file_id} stored"]
        for key, value, variant in values:
            keys.append(key)
            args += (value, variant)
        require_lease(self._put(keys=keys, args=args))  # by warmer/state/lua/put.lua

    def put_unavailable(self, lease: Lease, cause: str, first_seconds: int, max_seconds: int) -> int:
        """Add a negative cache entry. Returns its seconds: those of the first, doubled with each one in a row.

        Raises NotMine and Forgotten as `put` does.
        """
        keys = [*self._guards(lease.subject), *self.keys.negatives(lease.subject)]
        args: list[str | int] = [lease.token, cause, first_seconds, max_seconds, FAILURES_SECONDS]
        return require_lease(self._put_unavailable(keys=keys, args=args))

    def queue_path(self, pipe: Pipeline, lease: Lease, path: FilePath, ttl: int) -> None:
        """Remember in a pipeline where Telegram keeps the file, for `ttl` seconds. `require_lease` reads the answer."""
        value = json.dumps({"path": path.path, "unique_id": path.unique_id, "size": path.size})
        keys = [*self._guards(lease.subject), self.keys.path(lease.subject)]
        queue(pipe, self._set_leased, keys=keys, args=[lease.token, _jitter(lease.subject, ttl) * 1000, value])

    def drop_path(self, file_id: str) -> None:
        """Forget the path: Telegram says that it has expired."""
        self.redis.delete(self.keys.path(file_id))

    def count_failure(self, lease: Lease, kind: str | None) -> int:
        """Count one more failure in a row. Returns the count. Raises NotMine and Forgotten as `put` does.

        `kind`: a failure of another kind ends the row. None: of any kind, for which no subject is given up.
        """
        subject, counter = lease.subject, self.keys.failures if kind else self.keys.retries
        keys = [*self._guards(subject), counter(subject), self.keys.failing(subject)]
        return require_lease(self._count_failure(keys=keys, args=[lease.token, FAILURES_SECONDS, kind or ""]))

    def end_failures(self, subject: str) -> None:
        """End the row of failures after which the subject would be given up."""
        self.redis.delete(self.keys.failures(subject))

    def _guards(self, subject: str) -> tuple[str, str]:
        return self.keys.lease(subject), self.keys.forgotten(subject)

    # Without a lease

    def renew(self, file_id: str) -> None:
        """Give every stored variant its full TTL again: a file id names immutable bytes."""
        ttl = _jitter(file_id, self.ttl)
        pipe = self.redis.pipeline(transaction=False)
        for fmt in self.formats:
            for size in self.sizes:
                pipe.expire(self.keys.variant(file_id, size, fmt), ttl)
        pipe.expire(self.keys.preview(file_id), ttl)
        pipe.execute()

    def announce(self, subject: str, outcome: str, pipe: Pipeline | None = None) -> None:
        """Wake the clients that wait (web/photos/purge_listener.py). Call it after the write that they shall find."""
        (self.redis if pipe is None else pipe).publish(self.keys.done, f"{subject} {outcome}")

    def clear_tombstones(self, *subjects: str) -> None:
        """Remove the tombstones of these subjects, so that they can be warmed again."""
        pipe = self.redis.pipeline(transaction=False)
        lift_tombstones(pipe, self.keys, subjects)
        pipe.execute()

    def forget(self, *subjects: str, shown_by: int | None = None) -> list[str]:
        """Delete everything about these subjects, with their next runs, in two round trips. Returns those deleted.

        `shown_by`: the person who shows them no more. A picture that another one shows stays. Raises RedisError last.
        """
        args, pipe = ["" if shown_by is None else shown_by], self.redis.pipeline(transaction=False)
        for subject in subjects:
            queue(pipe, self._forget, keys=self._list_keys_to_forget(subject), args=args)
        answers = pipe.execute(raise_on_error=False)
        gone = [subject for subject, answer in zip(subjects, answers, strict=True) if answer == 1]
        if gone:
            queue(pipe, self._note_tombstones, keys=[self.keys.tombstones], args=[*map(self.keys.forgotten, gone)])
            drop_failures(pipe, self.keys, gone)
            cancel_runs(pipe, self.keys, gone)
            for kind in OUTAGES:
                pipe.srem(self.keys.outage(kind), *gone)
            for subject in gone:
                pipe.publish(self.keys.purge, subject)
                self.announce(subject, "forgotten", pipe)
            pipe.execute()
        if failed := next((answer for answer in answers if isinstance(answer, Exception)), None):
            raise failed
        return gone

    def _list_keys_to_forget(self, subject: str) -> list[str]:
        keys = self.keys
        return [keys.forgotten(subject), keys.people(subject), *self.list_passing(subject), keys.wanted(subject)]

    def list_passing(self, subject: str) -> list[str]:
        """List the keys that a new fetch writes anew: variants, negative cache, lease and markers."""
        keys = self.keys
        passing = [keys.variant(subject, size, fmt) for size in self.sizes for fmt in FORMATS]
        passing += [keys.preview(subject), keys.path(subject), *self.keys.negatives(subject)]
        passing += [keys.lease(subject), keys.crashes(subject), keys.backoff(subject)]
        passing += [keys.refresh(subject), keys.refreshed(subject)]
        return passing + [keys.enqueued(subject, lane) for lane in ("hot", "warm", "rewarm")]


def _jitter(subject: str, seconds: int) -> int:
    """Spread the TTL. All keys of a picture get the same: they are written one after another, and expire together."""
    share = crc32(subject.encode()) / 2**32
    return max(1, round(seconds * (1 + TTL_JITTER * (2 * share - 1))))
