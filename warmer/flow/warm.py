"""THE FLOW: from a file id to finished bytes in Redis. Everything it needs lies on the desk."""

from __future__ import annotations

from warmer.deadline import Errand
from warmer.flow.order import put_first
from warmer.flow.steps import Desk


def warm_photo(file_id: str, errand: Errand, desk: Desk) -> str:
    """One picture: claim it, get the bytes, render what is missing, store it, tell whoever waits; how it ended.

    The format that every client gets, in all sizes, and the formats that somebody asked for; of these first the
    variants that a client waits for. Telegram is asked only where nothing large enough is stored. Raises NotMine where
    another worker is at it.
    """
    store = desk.store
    with desk.hold(file_id, errand.lane) as claim:
        for wanted in desk.claims.rounds(claim):
            if missing := store.list_missing(file_id, wanted):
                original = store.get_original(file_id) or desk.fetch(claim, errand)
                for rendering in desk.render(original, put_first(missing, store.list_wanted(file_id))):
                    desk.put(claim, rendering)
        if errand.lane == "rewarm" and desk.partners.keeps(file_id):
            store.renew(file_id)
    return claim.outcome
