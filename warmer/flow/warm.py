"""THE FLOW: from a file id to finished bytes in Redis. Everything it needs is passed in."""

from __future__ import annotations

from warmer.deadline import JobContext
from warmer.errors import Busy
from warmer.flow.outcome import Outcome
from warmer.flow.steps import FlowSteps
from warmer.keys import Subject
from warmer.photo import prioritize_variants
from warmer.state.lease import Lease


def warm_photo(file_id: str, job: JobContext, steps: FlowSteps) -> Outcome:
    """Warm one picture: take the lease, get the bytes, render the missing variants, store and announce them.

    It makes all sizes in the first format, and each other format that a client waits for. Variants that a client waits
    for come first. Telegram is called only if no stored variant is large enough to render the others from: in the lane
    *hot*, those that a client waits for.
    """
    store = steps.store

    def work(lease: Lease) -> Outcome:
        for wanted in steps.leases.iterate_wanted(lease):
            stock = store.inspect(file_id, wanted).narrow(wanted if job.lane == "hot" else ())
            if stock.missing:
                source = store.get_source(file_id, stock.source) if stock.source else None
                source = source or steps.fetch(lease, job, stock.path)
                with steps.decoding(lease) as awaited:
                    for rendering in steps.render(source, prioritize_variants(stock.missing, awaited)):
                        steps.put(lease, rendering)
        if stock.is_partial:
            return Outcome("done", "larger sizes are missing", retry_seconds=1)
        if (job.lane == "rewarm" or stock.source) and steps.people.is_kept_warm(lease.subject, lease.shown_by):
            store.renew(file_id)
        if not steps.people.announce_ready(file_id, store.get_version, job.deadline):
            raise Busy("more people show it than one job announces", retry_after=1)
        return Outcome("done")

    return steps.attempts.run(Subject(file_id), job.lane, work)
