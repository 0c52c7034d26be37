"""THE FLOW: from a file id to finished bytes in Redis. Everything it needs lies on the desk."""

from __future__ import annotations

from warmer.deadline import JobContext
from warmer.flow.steps import FlowSteps
from warmer.photo import prioritize_variants


def warm_photo(file_id: str, job: JobContext, steps: FlowSteps) -> str:
    """One picture: claim it, get the bytes, render what is missing, store it, tell whoever waits; how it ended.

    The format that every client gets, in all sizes, and the formats that somebody asked for; of these first the
    variants that a client waits for. Telegram is asked only where nothing large enough is stored. Raises NotMine where
    another worker is at it.
    """
    store = steps.store
    with steps.hold(file_id, job.lane) as lease:
        for wanted in steps.leases.rounds(lease):
            if missing := store.list_missing(file_id, wanted):
                source = store.get_source(file_id) or steps.fetch(lease, job)
                for rendering in steps.render(source, prioritize_variants(missing, store.list_wanted(file_id))):
                    steps.put(lease, rendering)
        if job.lane == "rewarm" and steps.partners.is_kept_warm(file_id):
            store.renew(file_id)
    return lease.outcome
