"""From a file id to its bytes: getFile, then the download, within the budget."""

from __future__ import annotations

from collections.abc import Callable

from warmer.deadline import Deadline, JobContext
from warmer.errors import UpstreamFailed
from warmer.photo import FilePath, SourceImage
from warmer.state.budget import Budget
from warmer.state.lease import Lease
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi, DownloadUnauthorized, PathExpired


class Fetch:
    """Fetches originals; the path of a file is remembered, it costs a call."""

    def __init__(self, telegram: BotApi, budget: Budget, store: PhotoStore, path_ttl: int) -> None:
        self.telegram = telegram
        self.budget = budget
        self.store = store
        self.path_ttl = path_ttl  # seconds

    def __call__(self, lease: Lease, job: JobContext) -> SourceImage:
        """The bytes of the claimed picture. An expired path is asked for once more, and then tried once more."""
        path = self.store.get_path(lease.subject) or self._ask(lease, job)
        try:
            return self._download(path, job)
        except PathExpired:
            self.store.drop_path(lease.subject)
            return self._download(self._ask(lease, job), job)

    def _ask(self, lease: Lease, job: JobContext) -> FilePath:
        path = self.budget.spend(job, lambda deadline: self.telegram.get_file(lease.subject, deadline))
        self.store.put_path(lease, path, self.path_ttl)
        return path

    def _download(self, path: FilePath, job: JobContext) -> SourceImage:
        get: Callable[[Deadline], bytes] = lambda deadline: self.telegram.download(path, deadline)  # noqa: E731
        try:
            return SourceImage(self.budget.spend_nothing(job, get), path.unique_id)
        except DownloadUnauthorized:
            self.budget.spend(job, self.telegram.get_me)  # raises, and halts every call, if the token is wrong
            raise UpstreamFailed("download: 401 while getMe passes") from None
