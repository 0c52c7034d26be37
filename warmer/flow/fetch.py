"""From a file id to its bytes: getFile, then the download, within the budget."""

from __future__ import annotations

from typing import Any

from warmer.deadline import Deadline, JobContext
from warmer.errors import UpstreamFailed
from warmer.photo import FilePath, SourceImage
from warmer.state.budget import Budget
from warmer.state.lease import Lease, require_lease
from warmer.state.outage import Outage
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi, DownloadUnauthorized, PathExpired


class PhotoFetcher:
    """Downloads pictures, and remembers the path of each: another getFile would cost a call."""

    def __init__(self, telegram: BotApi, budget: Budget, outage: Outage, store: PhotoStore, path_ttl: int) -> None:
        self.telegram = telegram
        self.budget = budget
        self.outage = outage
        self.store = store
        self.path_ttl = path_ttl  # seconds

    def fetch(self, lease: Lease, job: JobContext, path: FilePath | None = None) -> SourceImage:
        """Download the picture of the lease. `path`: a known one. If it has expired, get a new one."""
        try:
            if path:
                self.budget.check_pause()
            return self._download(path or self._get_path(lease, job), job)
        except PathExpired:
            self.store.drop_path(lease.subject)
            return self._download(self._get_path(lease, job), job)

    def _get_path(self, lease: Lease, job: JobContext) -> FilePath:
        """Call getFile, remember the path, and check the pause before the download."""
        path = self.budget.spend(job, lambda deadline: self.telegram.get_file(lease.subject, deadline))
        pipe: Any = self.store.redis.pipeline(transaction=False)
        self.store.queue_path(pipe, lease, path, self.path_ttl)
        self.outage.queue_clear(pipe)
        self.budget.queue_check(pipe)
        is_stored, _, pause = pipe.execute()
        require_lease(is_stored)
        self.budget.read_check(pause)
        return path

    def _download(self, path: FilePath, job: JobContext) -> SourceImage:
        def download(deadline: Deadline) -> bytes:
            return self.telegram.download(path, deadline)

        try:
            return SourceImage(self.budget.obey(job, download), path.unique_id)
        except DownloadUnauthorized:
            self.budget.spend(job, self.telegram.get_me)  # if the token is wrong, this raises and halts every call
            raise UpstreamFailed("download: 401 while getMe passes") from None
