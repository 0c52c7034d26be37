"""Pictures to request: drawn, rendered and stored as a worker does it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image
from redis import Redis

from benches.testbed import FORMAT, SIZE
from faketelegram.pictures import drawn
from warmer.etag import StoredVariant, pack
from warmer.images.render import render
from warmer.keys import Keys
from warmer.photo import SourceImage, VariantSpec
from warmer.settings import Settings
from warmer.state.lease import LeaseManager
from warmer.state.photos import PhotoStore

GRAIN = 0.07  # share of noise that makes a drawn face as large as a photograph: 6 KB


@dataclass(frozen=True)
class Avatar:
    """A stored picture."""

    file_id: str
    etag: str  # as in the header, with its quotes
    body: bytes = field(repr=False)


def store_avatars(redis: Redis, keys: Keys, number: int) -> list[Avatar]:
    """Draw `number` different faces, and put them into Redis."""
    ttl = Settings.model_fields["photo_ttl"].default
    store = PhotoStore(redis, keys, [SIZE], [FORMAT], ttl)
    return [
        _store(f"AgAC-the-picture-of-bench-{index:04}", store, LeaseManager(redis, keys)) for index in range(number)
    ]


def _store(file_id: str, store: PhotoStore, leases: LeaseManager) -> Avatar:
    [rendering] = render(SourceImage(_draw(file_id)), [[VariantSpec(SIZE, FORMAT)]])
    lease = leases.take(file_id, "warm")
    store.put(lease, rendering)
    leases.release(lease)
    [variant] = rendering.variants
    stored = StoredVariant.unpack(pack(variant.body))
    if stored is None:
        raise ValueError("a variant that cannot be read back")
    return Avatar(file_id, stored.etag, variant.body)


def _draw(seed: str) -> bytes:
    noise = random.Random(seed).randbytes(SIZE * SIZE)  # noqa: S311 - looks, not secrets
    grain = Image.frombytes("L", (SIZE, SIZE), noise).convert("RGB")
    out = BytesIO()
    with Image.open(BytesIO(drawn(seed)[SIZE])) as face:
        Image.blend(face, grain, GRAIN).save(out, "PNG")
    return out.getvalue()
