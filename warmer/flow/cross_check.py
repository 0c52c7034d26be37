"""Is it Telegram, or are these pictures ill? The same call for a good one tells.

It is made before an outage is declared, and before a file of text or a picture that is cut off counts.

Pictures that are ill by themselves look like an outage while no other one is asked for. The good one is a picture of
the newest partners that is stored, so Telegram has given it before; for a look-up, any other partner. A refusal in
unknown words may be about one subject: it needs good ones that were looked up before, and are all refused.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, get_args

from warmer.deadline import Deadline, JobContext
from warmer.errors import (
    Paused,
    Permanent,
    Postponed,
    TokenRejected,
    UnknownRefusal,
    Unreachable,
    UpstreamFailed,
    WarmerError,
)
from warmer.flow.fetch import download_whole
from warmer.keys import DOWNLOAD, VERDICT_SECONDS, Subject
from warmer.photo import FilePath, SourceImage
from warmer.state.budget import Budget
from warmer.state.outage import Outage
from warmer.state.people import People
from warmer.state.person import Person
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi

T = TypeVar("T")
Result = Literal[
    "ill",  # the call fails for a good one, too
    "well",  # it is answered
    "alone",  # no good one is known
    "unknown",  # another job is finding out, no token came in time, calls pause, or there was nothing to download
]
RESULTS: dict[str, Result] = {result: result for result in get_args(Result)}  # as Redis stores them
NEWEST = 1000  # partners to choose from
SAMPLE = 100  # of them, at random: an ill one is not chosen twice, and most were fetched long ago
CANDIDATES_MAX = 3  # good subjects to try: the next one if a call is refused, or if a path cannot be had
CHECK_SECONDS = 4.0  # with the 20 s of the job that checks, less than its lease, and less than a stop waits
CALL_SECONDS = 1.0  # a download that has less time left may be cut although Telegram is well


class CrossCheck:
    """Makes a call that failed once more, for a good one. One at a time for all workers."""

    def __init__(
        self,
        telegram: BotApi,
        budget: Budget,
        outage: Outage,
        people: People,
        store: PhotoStore,
        lacks_end: Callable[[bytes], bool],
        choose: Callable[[Sequence[int], int], list[int]] = random.sample,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lacks_end`: whether a picture is cut off. `choose`: takes so many ids, at random. `clock`: tells seconds."""
        self.telegram = telegram
        self.budget = budget
        self.outage = outage
        self.people = people
        self.store = store
        self._lacks_end = lacks_end
        self._choose = choose
        self._clock = clock
        self._well_at: dict[str, float] = {}  # by call: the last check of this process that was answered

    def check(self, call: str, *, must_be_own: bool = False) -> Result:
        """Make the call for a good one, unless another job makes it or has just made it.

        `must_be_own`: believe "well" of this process only. Others may have another way to Telegram.
        """
        is_mine, said = self.outage.read_verdict(call)
        if not is_mine:
            is_unknown = said == "well" and must_be_own and not self._was_well(call)
            return "unknown" if is_unknown else RESULTS.get(said, "unknown")
        try:
            result = self._make_call(call)
        except Postponed:  # the next failure asks
            self.outage.drop_verdict(call)
            return "unknown"
        if result == "well":
            self._well_at[call] = self._clock()
        self.outage.note_verdict(call, result)
        return result

    def _was_well(self, call: str) -> bool:
        well_at = self._well_at.get(call)
        return well_at is not None and self._clock() - well_at < VERDICT_SECONDS

    def _make_call(self, call: str) -> Result:
        """An answer ends the outage of the call, if one is under way. Raises Postponed without a token."""
        job = JobContext.start("hot", CHECK_SECONDS, seconds=CHECK_SECONDS)
        try:
            return self._fetch(call, job) if call in ("getFile", DOWNLOAD) else self._look_up(call, job)
        except Postponed:
            raise
        except Unreachable:
            return "ill"
        except (Paused, TokenRejected):  # about the pace or the bot
            return "unknown"
        except WarmerError:  # an answer, whatever it says
            return "well"

    def _fetch(self, call: str, job: JobContext) -> Result:
        candidates = self._choose_pictures(call)
        if not candidates:
            return "alone"
        if call == "getFile":
            return _ask_until_answered(candidates, lambda file_id: self._get_path(file_id, job))
        for file_id in candidates:
            try:
                path = self._get_path(file_id, job)
            except (Permanent, UnknownRefusal):  # the id is dead
                continue
            except Unreachable:  # it says nothing about downloads
                return "unknown"
            except UpstreamFailed:
                continue
            return self._download(path, job)
        return "unknown"

    def _get_path(self, file_id: str, job: JobContext) -> FilePath:
        self.budget.take(job)
        return self.budget.obey(
            job, "getFile", lambda deadline: self.telegram.get_file(file_id, deadline), is_probe=True
        )

    def _download(self, path: FilePath, job: JobContext) -> Result:
        self.budget.check_pause()  # one may have begun meanwhile
        if job.deadline.remaining < CALL_SECONDS:
            return "unknown"

        def download(deadline: Deadline) -> SourceImage:
            return download_whole(self.telegram, path, deadline, self._lacks_end)

        self.budget.obey(job, DOWNLOAD, download, is_probe=True)
        return "well"

    def _look_up(self, call: str, job: JobContext) -> Result:
        people = self._choose_people(call)
        known = [one.id for one in people if one.looked_up_at]
        look_up = self.telegram.get_chat_photo if call == "getChat" else self.telegram.get_profile_photo

        def ask(person_id: int) -> None:
            self.budget.take(job)
            self.budget.obey(job, call, lambda deadline: look_up(person_id, deadline), is_probe=True)

        if known:
            return _ask_until_answered(known[:CANDIDATES_MAX], ask)
        return "well" if people and _ask_until_answered([people[0].id], ask) == "well" else "alone"

    def _choose_people(self, call: str) -> list[Person]:
        failed = self.outage.list_failed(call)
        people = [one for one in self.people.get_many(self._sample()) if Subject.of_person(one.id) not in failed]
        return [one for one in people if one.id > 0] if call == "getUserProfilePhotos" else people

    def _sample(self) -> list[int]:
        newest = self.people.list_recent_ids(NEWEST)
        return self._choose(newest, min(SAMPLE, len(newest)))

    def _choose_pictures(self, call: str) -> list[str]:
        failed = self.outage.list_failed(call)
        people = self.people.get_many(self._sample())
        pictures = [one.photo_file_id for one in people if one.photo_file_id and one.photo_file_id not in failed]
        statuses = self.store.get_statuses(pictures)
        ready = [name for name, photo in zip(pictures, statuses, strict=True) if photo.status == "ready"]
        return ready[:CANDIDATES_MAX]


def _ask_until_answered(subjects: Sequence[T], ask: Callable[[T], object]) -> Result:
    """Returns "well" after the first answer, and "ill" if every one is refused in unknown words."""
    for subject in subjects:
        try:
            ask(subject)
        except UnknownRefusal:
            continue
        return "well"
    return "ill"
