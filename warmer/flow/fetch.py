"""From a file id to its bytes: getFile, then the download, within the budget."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from warmer.deadline import Deadline, JobContext
from warmer.errors import CutOff, Postponed, UpstreamFailed
from warmer.keys import DOWNLOAD
from warmer.photo import FilePath, SourceImage
from warmer.state.budget import Budget
from warmer.state.lease import Lease, require_lease
from warmer.state.outage import Outage
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi, DownloadUnauthorized, PathExpired


@dataclass(frozen=True)
class PhotoFetcher:
    """Downloads pictures, and remembers the path of each: another getFile would cost a call."""

    telegram: BotApi
    budget: Budget
    outage: Outage
    store: PhotoStore
    path_ttl: int  # seconds
    lacks_end: Callable[[bytes], bool]  # whether a picture is cut off

    def fetch(self, lease: Lease, job: JobContext, path: FilePath | None = None) -> SourceImage:
        """Download the picture of the lease. `path`: a known one. If it has expired, get a new one."""
        if lease.backoff_seconds:
            raise Postponed("too early after a failure", retry_after=lease.backoff_seconds)
        if path:
            try:
                return self._download(path, self.budget.check_pause(DOWNLOAD), job)
            except PathExpired:
                self.store.drop_path(lease.subject)
        return self._download(*self._get_path(lease, job), job)

    def _get_path(self, lease: Lease, job: JobContext) -> tuple[FilePath, bool]:
        """Call getFile, remember the path, check the pause. Returns the path, and whether the download is a probe."""
        path = self.budget.spend(job, "getFile", lambda deadline: self.telegram.get_file(lease.subject, deadline))
        pipe: Any = self.store.redis.pipeline(transaction=False)
        self.store.queue_path(pipe, lease, path, self.path_ttl)
        self.outage.queue_clear(pipe)
        self.outage.queue_take_refused(pipe)
        self.budget.queue_check(pipe, DOWNLOAD)
        is_stored, *_, refused, _, pause = pipe.execute()
        self.outage.wake_refused(refused)
        require_lease(is_stored)
        return path, self.budget.read_check(pause, DOWNLOAD)

    def _download(self, path: FilePath, is_probe: bool, job: JobContext) -> SourceImage:
        def download(deadline: Deadline) -> SourceImage:
            return download_whole(self.telegram, path, deadline, self.lacks_end)

        try:
            return self.budget.obey(job, DOWNLOAD, download, is_probe=is_probe)
        except DownloadUnauthorized:
            with suppress(Postponed, UpstreamFailed):  # getMe says nothing then, and the refusal stays
                self.budget.spend(job, "getMe", self.telegram.get_me)  # a wrong token raises and halts every call
            raise


def download_whole(
    telegram: BotApi, path: FilePath, deadline: Deadline, lacks_end: Callable[[bytes], bool]
) -> SourceImage:
    """Download a file. Raises CutOff if the download may have ended early and the picture lacks its end.

    The budget makes this call, so a picture that was cut is no answer of Telegram, even if the rest could be decoded.
    """
    source = telegram.download(path, deadline)
    if source.may_be_cut and lacks_end(source.data):
        raise CutOff("download: the end of the picture is missing")
    return source
