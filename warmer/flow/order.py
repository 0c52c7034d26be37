"""Which variants are made first: those that a client waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from warmer.photo import Cut, choose_shown


def put_first(missing: Sequence[Cut], wanted: Collection[Cut]) -> list[list[Cut]]:
    """What is missing in batches, each stored and announced by itself: what is waited for, then the rest.

    Where nobody waits yet, the size that `photo_url` names will be asked for first.
    """
    first = [cut for cut in missing if cut in wanted]
    if not first:
        shown = choose_shown([cut.size for cut in missing])
        first = [next(cut for cut in missing if cut.size == shown)]
    rest = [cut for cut in missing if cut not in first]
    return [first, rest] if rest else [first]
