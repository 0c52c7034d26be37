"""THE FLOW: from a file id to finished bytes in Redis. Everything it needs lies on the desk."""

from __future__ import annotations

from warmer.deadline import Errand
from warmer.desk import Desk


def warm_photo(file_id: str, errand: Errand, desk: Desk) -> str:
    """One picture: claim it, get the bytes, render what is missing, store it, tell whoever waits; how it ended.

    First the format that every client gets, in all sizes; then the formats that somebody asked for meanwhile. Telegram
    is asked only where nothing large enough is stored. Raises NotMine where another worker is at it.
    """
    store = desk.store
    with desk.hold(file_id, errand.lane) as claim:
        for wanted in desk.claims.rounds(claim):
            for fmt in (store.formats[0], *wanted):
                if missing := store.list_missing(file_id, fmt):
                    original = store.get_original(file_id) or desk.fetch(claim, errand)
                    desk.put(claim, desk.render(original, missing, fmt))
                    store.announce(file_id, "stored")
        if errand.lane == "rewarm" and desk.partners.keeps(file_id):
            store.renew(file_id)
    return claim.outcome
