"""How many files and connections this process and its children may have open."""

from __future__ import annotations

import resource


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the soft limit to so many, where the hard one allows it; the limit from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
