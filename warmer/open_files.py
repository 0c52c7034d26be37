"""The number of files and connections that a process may have open."""

from __future__ import annotations

import resource

from warmer.log_line import exit_with

LEAST = 256  # threads with connections to Redis, the broker and Telegram, and clients


def raise_open_files_limit_or_exit(wanted: int) -> int:
    """Raise the soft limit to `wanted`, or as far as the hard limit allows. Returns at most `wanted`.

    A limit that no process can work with ends this one with one line.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit < LEAST:
        exit_with(f"ulimit -n: {limit} open files are too few for a process: allow {LEAST} or more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
