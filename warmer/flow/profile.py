"""From a user or chat id to its newest picture: looked up, warmed, and then shown."""

from __future__ import annotations

from dataclasses import dataclass

from warmer.deadline import JobContext
from warmer.errors import Busy, Dropped, GaveUp, NoPhoto, Postponed
from warmer.flow.outcome import Outcome
from warmer.flow.retry import BACKOFF_MAX_SECONDS
from warmer.flow.steps import FlowSteps
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.photo import PhotoSize, Unavailable
from warmer.state.budget import Budget
from warmer.state.lease import Forgotten, Lease
from warmer.state.person import Person
from warmer.telegram.client import BotApi

SOON_SECONDS = 0.1  # the next tick decides


def refresh_profile(user_id: int, job: JobContext, steps: FlowSteps) -> Outcome:
    """Look up the newest picture of a profile, warm it, then show it. The old one stays until the new one is ready.

    A picture has changed if the unique id of the current one is in none of the sizes of the newest: a unique id names
    one size. A refresh is looked up even if the last look-up was a moment ago.
    """
    subject = Subject.of_person(user_id)

    def work(lease: Lease) -> Outcome:
        person, age_seconds = steps.people.get_with_age(user_id)
        if person.is_pinned:
            steps.refreshes.end(lease)
            return Outcome("done", "the picture is pinned")
        try:
            photo = None if lease.refresh else _find_fresh(person, age_seconds, steps)
            if photo is None:
                person, photo = _look_up(person, lease, job, steps)
        except NoPhoto:
            steps.forget.hidden(user_id)
            raise
        _warm_and_show(person, photo, job, steps)
        return Outcome("done")

    outcome = steps.attempts.run(subject, job.lane, work)
    if outcome.kind == "skipped":
        _delete_if_forgotten_meanwhile(user_id, steps)
    if outcome.kind != "postponed":
        _schedule_if_requested_meanwhile(subject, outcome, steps)
    return outcome


def _find_fresh(person: Person, age_seconds: float, steps: FlowSteps) -> PhotoSize | None:
    """The picture of a look-up just now: if its warming was postponed, the profile is not looked up again.

    An older look-up is not trusted, warm or cold: file ids of getChat die when the photo changes. While the picture
    backs off, it is trusted for ten minutes: a look-up would rarely find another one.
    """
    if person.needs_look_up or age_seconds > min(BACKOFF_MAX_SECONDS, steps.people.check_seconds):
        return None
    newest, unique_id = person.next_file_id, person.next_unique_id
    if newest is None:
        newest, unique_id = person.photo_file_id, person.photo_unique_id
    if newest is None or unique_id is None:
        return None
    if age_seconds > steps.people.fresh_seconds and not steps.leases.is_backing_off(newest):
        return None
    status = steps.store.get_statuses([newest])[0].status
    return PhotoSize(newest, unique_id, 0) if status in ("ready", "warming") else None


def _look_up(person: Person, lease: Lease, job: JobContext, steps: FlowSteps) -> tuple[Person, PhotoSize]:
    sizes = steps.look_up_profile(person.id, job)
    current = _get_current(person, steps)
    is_unchanged = current is not None and current.unique_id in {size.unique_id for size in sizes}
    photo = current if current and is_unchanged else choose_size(sizes, steps.store.sizes[-1])
    noted = steps.people.note_look_up(person, photo)
    if noted is None:
        steps.forget.photos([photo.file_id], person.id)  # its tombstone was removed a moment ago
        raise Forgotten("deleted during the look-up")
    steps.refreshes.end(lease)
    return noted, photo


def _get_current(person: Person, steps: FlowSteps) -> PhotoSize | None:
    """The picture that this person shows now, None if it is not known which one that is."""
    if person.photo_file_id is None:
        file_id, unique_id = person.next_file_id, person.next_unique_id
    else:
        file_id = person.photo_file_id
        unique_id = person.photo_unique_id or steps.store.get_unique_id(file_id)
    return PhotoSize(file_id, unique_id, 0) if file_id and unique_id else None


def _warm_and_show(person: Person, photo: PhotoSize, job: JobContext, steps: FlowSteps) -> None:
    cause = steps.store.get_unavailable(photo.file_id)
    outcome = Outcome("unavailable") if cause else warm_photo(photo.file_id, job, steps)
    if outcome.kind == "skipped":
        raise Busy(f"its picture: {outcome.detail}", retry_after=SOON_SECONDS)
    if outcome.kind == "unavailable" and not (cause and cause.is_absence):
        steps.people.drop_next(person.id)
        raise GaveUp(f"its picture is unavailable ({cause.cause if cause else outcome.detail})")
    if outcome.kind == "dropped" and job.lane != "hot":
        raise Dropped("its picture keeps failing", retry_after=outcome.retry_seconds)
    if outcome.kind != "done" or outcome.is_partial:
        raise Postponed("its picture comes later", retry_after=max(outcome.retry_seconds, SOON_SECONDS))
    if steps.people.show(person, photo) or not person.is_registered:
        return
    if photo.file_id not in steps.people.get(person.id).shown:  # another one was pinned meanwhile
        steps.forget.photos([photo.file_id], person.id)


def _schedule_if_requested_meanwhile(subject: Subject, outcome: Outcome, steps: FlowSteps) -> None:
    """After the release: the job of a registration or a refresh that came before it found the lease taken and ended.

    A refresh within a minute of another one waits, too, if the job looked no profile up.
    """
    person, seconds = steps.refreshes.read(subject.user_id)
    if outcome.kind == "done" and person.needs_look_up:
        steps.schedule.set(subject, 0)
    elif seconds or (seconds is not None and outcome.kind != "skipped"):  # another worker is at a skipped one
        steps.schedule.schedule_by([subject], max(seconds, outcome.retry_seconds))


def _delete_if_forgotten_meanwhile(user_id: int, steps: FlowSteps) -> None:
    """Delete what was written after the person was forgotten: the record lives in another slot than the tombstone."""
    is_forgotten = steps.store.get_unavailable(Subject.of_person(user_id)) == Unavailable("forgotten")
    if is_forgotten and not steps.people.get(user_id).is_registered:
        steps.forget.photos(steps.people.remove(user_id).ever_shown, user_id)


@dataclass(frozen=True)
class ProfileLookup:
    """Calls getUserProfilePhotos first, then getChat, which also knows public photos, groups and channels."""

    telegram: BotApi
    budget: Budget

    def look_up(self, user_id: int, job: JobContext) -> list[PhotoSize]:
        """Returns every size of the newest picture. Raises NoPhoto if the bot can see none."""
        sizes: list[PhotoSize] = []
        if user_id > 0:
            sizes = self.budget.spend(
                job, "getUserProfilePhotos", lambda deadline: self.telegram.get_profile_photo(user_id, deadline)
            )
        if not sizes:
            sizes = self.budget.spend(job, "getChat", lambda deadline: self.telegram.get_chat_photo(user_id, deadline))
        if not sizes:
            raise NoPhoto("no photo, or a hidden one")
        return sizes


def choose_size(sizes: list[PhotoSize], width: int) -> PhotoSize:
    """The smallest size that covers `width` pixels, else the largest: a smaller source is a smaller download."""
    ordered = sorted(sizes, key=lambda size: size.width)
    return next((size for size in ordered if size.width >= width), ordered[-1])
