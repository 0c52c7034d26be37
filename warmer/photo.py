"""The values that travel between the steps. Nothing here does input or output."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

Status = Literal["ready", "warming", "unavailable", "none"]
PREFERRED_PIXELS = 160


class VariantSpec(NamedTuple):
    """One size in one format, without its bytes."""

    size: int  # pixels
    format: str

    def __str__(self) -> str:
        return f"{self.size}.{self.format}"

    @classmethod
    def parse_all(cls, names: Iterable[str]) -> set[Self]:
        """The variants with these names, such as `160.jpeg`. Malformed names are ignored."""
        parts = [name.partition(".") for name in names]
        return {cls(int(size), fmt) for size, _, fmt in parts if size.isdecimal()}


def choose_shown(sizes: Sequence[int]) -> int:
    """The size that `photo_url` names: the smallest from 160 on, else the largest."""
    return min((size for size in sizes if size >= PREFERRED_PIXELS), default=max(sizes))


@dataclass(frozen=True, slots=True)
class Variant:
    """A picture as it is served: one size in one format."""

    size: int
    format: str
    body: bytes = field(repr=False)

    @property
    def spec(self) -> VariantSpec:
        return VariantSpec(self.size, self.format)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The bytes that variants are rendered from. `unique_id` is empty if it is not known.

    `may_be_cut`: the download may have ended early. `ttl`: of a stored variant, in seconds.
    """

    data: bytes = field(repr=False)
    unique_id: str = ""
    may_be_cut: bool = False
    ttl: int | None = None


MAX_PROFILE_BYTES = 2**20  # of a colour profile; a PNG holds it compressed


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a picture file, the parts that the decoder gets, and the memory that it needs."""

    format: str
    width: int
    height: int
    parts: list[memoryview] = field(repr=False)
    orientation: int  # EXIF's, 1 to 8
    buffer_bytes: int  # at any decoded size
    bytes_per_pixel: int = 4  # of the decoded size, while decoding
    kept_bytes_per_pixel: int = 4  # after that
    bit_depth: int = 8  # of a sample
    is_gray: bool = False  # with or without alpha
    color_key: tuple[int, ...] = ()  # the one transparent colour of a PNG, as samples of that depth

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Rendering:
    """The variants rendered from a source image, or a part of them."""

    variants: tuple[Variant, ...]
    preview: str = ""  # data URI, at most 300 bytes; empty if it comes with another part
    unique_id: str = ""
    max_ttl: int | None = None  # seconds


@dataclass(frozen=True, slots=True)
class PhotoSize:
    """One size of a picture as Telegram names it (Bot API, PhotoSize)."""

    file_id: str
    unique_id: str
    width: int


@dataclass(frozen=True, slots=True)
class FilePath:
    """The place of a file, which Telegram keeps for at least an hour (Bot API, getFile)."""

    path: str = field(repr=False)
    unique_id: str
    size: int | None = None  # bytes, if Telegram names them


@dataclass(frozen=True, slots=True)
class Bot:
    """The bot that the token belongs to (Bot API, getMe)."""

    name: str
    username: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A negative cache entry: there is no picture to serve, for this cause."""

    cause: str

    @property
    def is_absence(self) -> bool:
        """Returns True for no photo, a hidden or a forgotten one, as opposed to one that cannot be fetched."""
        return self.cause in ("none", "forgotten")


@dataclass(frozen=True, slots=True)
class PhotoStatus:
    """The picture of one subject as a list shows it, without its bytes."""

    status: Status
    preview: str | None = None
    version: str | None = None


def version_of(unique_id: str) -> str:
    """A short hash of a picture's unique id, for clients that compare."""
    return hashlib.blake2b(unique_id.encode(), digest_size=6).hexdigest()


def prioritize_variants(missing: Sequence[VariantSpec], wanted: Collection[VariantSpec]) -> list[list[VariantSpec]]:
    """Returns the missing variants in batches, each to be stored and announced by itself: the wanted ones come first.

    If no client waits yet, the size that `photo_url` names comes first.
    """
    first = [spec for spec in missing if spec in wanted]
    if not first:
        shown = choose_shown([spec.size for spec in missing])
        first = [next(spec for spec in missing if spec.size == shown)]
    rest = [spec for spec in missing if spec not in first]
    return [first, rest] if rest else [first]
