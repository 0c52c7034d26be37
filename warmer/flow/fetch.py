"""From a file id to its bytes: getFile, then the download, within the budget."""

from __future__ import annotations

from warmer.deadline import Deadline, JobContext
from warmer.errors import UpstreamFailed
from warmer.photo import FilePath, SourceImage
from warmer.state.budget import Budget
from warmer.state.lease import Lease
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi, DownloadUnauthorized, PathExpired


class PhotoFetcher:
    """Downloads pictures, and remembers the path of each: another getFile would cost a call."""

    def __init__(self, telegram: BotApi, budget: Budget, store: PhotoStore, path_ttl: int) -> None:
        self.telegram = telegram
        self.budget = budget
        self.store = store
        self.path_ttl = path_ttl  # seconds

    def fetch(self, lease: Lease, job: JobContext) -> SourceImage:
        """Download the picture of the lease. If its path has expired, get a new path and download once more."""
        path = self.store.get_path(lease.subject) or self._get_path(lease, job)
        try:
            return self._download(path, job)
        except PathExpired:
            self.store.drop_path(lease.subject)
            return self._download(self._get_path(lease, job), job)

    def _get_path(self, lease: Lease, job: JobContext) -> FilePath:
        path = self.budget.spend(job, lambda deadline: self.telegram.get_file(lease.subject, deadline))
        self.store.put_path(lease, path, self.path_ttl)
        return path

    def _download(self, path: FilePath, job: JobContext) -> SourceImage:
        def download(deadline: Deadline) -> bytes:
            return self.telegram.download(path, deadline)

        try:
            return SourceImage(self.budget.spend_nothing(job, download), path.unique_id)
        except DownloadUnauthorized:
            self.budget.spend(job, self.telegram.get_me)  # if the token is wrong, this raises and halts every call
            raise UpstreamFailed("download: 401 while getMe passes") from None
