"""The stored and the missing variants of a picture: a worker decides from them if it has to call Telegram."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from warmer.photo import FilePath, VariantSpec


class Stock(NamedTuple):
    """The missing variants of a picture, and the stored one that they can be made from."""

    missing: list[VariantSpec]  # the largest first
    source: VariantSpec | None  # the largest stored variant that a worker can read
    path: FilePath | None
    is_partial: bool = False  # further variants are missing, which no client waits for

    def narrow(self, wanted: Collection[str]) -> Stock:
        """Returns what is to be made now, and its source. Without a source, Telegram has to be called.

        `wanted`: variants such as `160.jpeg` that clients wait for; without them all that is missing is made. No size
        is enlarged. But larger ones that no client waits for stay missing if the source is enough for the others.
        """
        size = self.source.size if self.source else 0
        derivable = [spec for spec in self.missing if spec.size <= size]
        if derivable == self.missing:
            return self
        if self.source and wanted and all(spec in derivable for spec in self.missing if str(spec) in wanted):
            return self._replace(missing=derivable, is_partial=True)
        return self._replace(source=None)


def read_unique_id(value: Any) -> str | None:
    """Returns Telegram's unique id from the stored preview or path. Returns None if the value is None."""
    return str(json.loads(value)["unique_id"]) if value else None


def read_path(value: Any) -> FilePath | None:
    """Returns the stored path. Returns None if the value is None."""
    said = json.loads(value) if value else {}  # with fields that another release may have added
    return FilePath(said["path"], said["unique_id"], said.get("size")) if said else None
