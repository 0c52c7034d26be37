"""The error tree is arranged by how the caller reacts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmer import errors
from warmer.errors import ConfigError, NotMine, Permanent, Stuck, Transient, WarmerError
from warmer.state.lease import Forgotten
from warmer.telegram import client as telegram


def descend(kind: type[WarmerError]) -> Iterator[type[WarmerError]]:
    for child in kind.__subclasses__():
        yield child
        yield from descend(child)


LEAVES = [kind for kind in descend(WarmerError) if not kind.__subclasses__()]


def test_every_leaf_belongs_to_exactly_one_reaction() -> None:
    todo = (ConfigError, Stuck, NotMine, Permanent, Transient)
    assert LEAVES
    assert [leaf for leaf in LEAVES if sum(issubclass(leaf, kind) for kind in todo) != 1] == []


def test_permanent_errors_have_different_causes() -> None:
    causes = [kind.cause for kind in descend(Permanent) if issubclass(kind, Permanent)]
    assert len(set(causes)) == len(causes)
    assert Permanent.cause not in causes


def test_the_tree_in_the_docstring_names_every_error() -> None:
    drawn = set(re.findall(r"── ([A-Z]\w+)", str(errors.__doc__)))
    assert drawn == {kind.__name__ for kind in descend(WarmerError) if kind.__module__ == errors.__name__}


def test_a_transient_error_carries_the_seconds_to_wait() -> None:
    assert errors.Paused("m", retry_after=8).retry_after == 8
    assert errors.UpstreamFailed("m").retry_after is None


def test_errors_defined_elsewhere_are_in_the_tree_too() -> None:
    assert issubclass(telegram.PathExpired, Transient)
    assert issubclass(telegram.DownloadUnauthorized, Transient)
    assert issubclass(Forgotten, NotMine)
