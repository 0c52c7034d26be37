"""Is it Telegram, or are these pictures ill? The same call for a good one tells, before an outage is declared.

Pictures that are ill by themselves look like an outage while no other one is asked for. The good one is a picture of
the newest partners that is stored, so Telegram has given it before; for a look-up, any other partner.
"""

from __future__ import annotations

import random
from contextlib import suppress

from warmer.deadline import JobContext
from warmer.errors import Paused, Permanent, TokenRejected, WarmerError
from warmer.keys import DOWNLOAD, Subject
from warmer.photo import FilePath
from warmer.state.budget import Budget
from warmer.state.outage import Outage
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.telegram.client import BotApi

NEWEST = 1000  # partners to choose from
SAMPLE = 20  # of them, at random: an ill one is not chosen twice, and most were fetched long ago
CHECK_SECONDS = 5.0  # with the 20 s of the job that checks, less than its lease


class CrossCheck:
    """Makes a call that failed for several subjects once more, for a good one. One at a time for all workers."""

    def __init__(self, telegram: BotApi, budget: Budget, outage: Outage, people: People, store: PhotoStore) -> None:
        self.telegram = telegram
        self.budget = budget
        self.outage = outage
        self.people = people
        self.store = store

    def is_ill(self, call: str) -> bool | None:
        """Returns True if the call fails for a good one, too, or none is known; None while another job finds out."""
        is_mine, verdict = self.outage.read_verdict(call)
        if is_mine:
            verdict = "well" if self._is_answered(call) else "ill"
            self.outage.note_verdict(call, verdict)
        return None if verdict == "asking" else verdict == "ill"

    def _is_answered(self, call: str) -> bool:
        """An answer ends the outage of the call, if one is under way."""
        job = JobContext.start("hot", 1, seconds=CHECK_SECONDS)
        try:
            if call in ("getFile", DOWNLOAD):
                return self._fetch(call, job)
            return self._look_up(call, job)
        except (Paused, TokenRejected):  # about the pace or the bot, and no outage
            return True
        except WarmerError:
            return False

    def _fetch(self, call: str, job: JobContext) -> bool:
        if (file_id := self._choose_picture(call)) is None:
            return False
        self.budget.take(job)
        try:
            path: FilePath = self.budget.obey(
                job, "getFile", lambda deadline: self.telegram.get_file(file_id, deadline), is_probe=True
            )
        except Permanent:
            return call == "getFile"
        if call == DOWNLOAD:
            self.budget.check_pause()  # one may have begun meanwhile
            self.budget.obey(job, DOWNLOAD, lambda deadline: self.telegram.download(path, deadline), is_probe=True)
        return True

    def _look_up(self, call: str, job: JobContext) -> bool:
        failed = self.outage.list_failed(call)
        person_ids = [one for one in self._sample() if Subject.of_person(one) not in failed]
        if call == "getUserProfilePhotos":
            person_ids = [one for one in person_ids if one > 0]
        if not person_ids:
            return False
        look_up = self.telegram.get_chat_photo if call == "getChat" else self.telegram.get_profile_photo
        self.budget.take(job)
        with suppress(Permanent):  # Telegram does not know this person any more: an answer, too
            self.budget.obey(job, call, lambda deadline: look_up(person_ids[0], deadline), is_probe=True)
        return True

    def _sample(self) -> list[int]:
        newest = self.people.list_recent_ids(NEWEST)
        return random.sample(newest, min(SAMPLE, len(newest)))

    def _choose_picture(self, call: str) -> str | None:
        failed = self.outage.list_failed(call)
        people = self.people.get_many(self._sample())
        pictures = [one.photo_file_id for one in people if one.photo_file_id and one.photo_file_id not in failed]
        statuses = self.store.get_statuses(pictures)
        return next((name for name, photo in zip(pictures, statuses, strict=True) if photo.status == "ready"), None)
