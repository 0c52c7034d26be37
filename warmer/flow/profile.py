"""Following a profile: from a user or chat id to its newest picture, warmed, and then shown."""

from __future__ import annotations

from warmer.deadline import JobContext
from warmer.errors import Busy, GaveUp, NoPhoto, Postponed
from warmer.flow.outcome import Outcome
from warmer.flow.steps import FlowSteps
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.photo import PhotoSize
from warmer.state.budget import Budget
from warmer.state.lease import Forgotten, Lease
from warmer.telegram.client import BotApi

SOON_SECONDS = 0.1  # the next tick decides


def refresh_profile(user_id: int, job: JobContext, steps: FlowSteps) -> Outcome:
    """Look up the newest picture of a profile, warm it, then show it; the old one stays until the new one is ready.

    A picture has changed if the unique id of the one shown is in none of the sizes of the newest: a unique id names
    one size.
    """

    def work(lease: Lease) -> Outcome:
        partner = steps.partners.get(user_id)
        if partner and partner.is_pinned:
            return Outcome("done", "the picture is pinned")
        try:
            photo = _find_known(user_id, steps) or _look_up(lease, user_id, job, steps)
        except NoPhoto:
            steps.forget.photos(list(_list_shown(user_id, steps)), user_id)
            steps.profiles.drop(user_id)
            raise
        _warm_and_show(user_id, photo, job, steps)
        return Outcome("done")

    return steps.attempt(Subject.of_person(user_id), job.lane, work)


def _find_known(user_id: int, steps: FlowSteps) -> PhotoSize | None:
    """The picture of a look-up just now: one whose warming was postponed is not looked up again.

    An older look-up is not trusted, warm or cold: file ids of getChat die when the photo changes.
    """
    profile = steps.profiles.get(user_id)
    if profile is None or steps.profiles.is_older(profile, steps.profiles.fresh_seconds):
        return None
    status = steps.store.get_statuses([profile.file_id])[0].status
    return PhotoSize(profile.file_id, profile.unique_id, 0) if status in ("ready", "warming") else None


def _look_up(lease: Lease, user_id: int, job: JobContext, steps: FlowSteps) -> PhotoSize:
    sizes = steps.look_up_profile(user_id, job)
    shown = _get_shown(user_id, steps)
    is_unchanged = shown is not None and shown.unique_id in {size.unique_id for size in sizes}
    photo = shown if shown and is_unchanged else choose_size(sizes, steps.store.sizes[-1])
    steps.store.clear_tombstones(photo.file_id)  # the profile shows it again, whoever forgot it before
    try:
        steps.profiles.put(lease, user_id, photo.file_id, photo.unique_id)
    except Forgotten:  # during the look-up: what was lifted a moment ago stays forgotten
        steps.forget.photos([photo.file_id], user_id)
        raise
    return photo


def _get_shown(user_id: int, steps: FlowSteps) -> PhotoSize | None:
    """The picture that this id shows now, if it is known which one that is."""
    partner, profile = steps.partners.get(user_id), steps.profiles.get(user_id)
    if partner and partner.photo_file_id:
        unique_id = partner.photo_unique_id or steps.store.get_unique_id(partner.photo_file_id)
        return PhotoSize(partner.photo_file_id, unique_id, 0) if unique_id else None
    return PhotoSize(profile.file_id, profile.unique_id, 0) if profile else None


def _list_shown(user_id: int, steps: FlowSteps) -> set[str]:
    profile = steps.profiles.get(user_id)
    return {*steps.partners.drop_photo(user_id), *(profile.list_ever_shown() if profile else [])}


def _warm_and_show(user_id: int, photo: PhotoSize, job: JobContext, steps: FlowSteps) -> None:
    if not steps.store.get_unavailable(photo.file_id):
        outcome = warm_photo(photo.file_id, job, steps)
        if outcome.kind == "skipped":
            raise Busy(f"its picture: {outcome.detail}", retry_after=SOON_SECONDS)
    if (cause := steps.store.get_unavailable(photo.file_id)) and not cause.is_absence:
        steps.profiles.drop(user_id)
        raise GaveUp(f"its picture is unavailable ({cause.cause})")
    if not steps.store.is_ready(photo.file_id):
        raise Postponed("its picture comes later", retry_after=SOON_SECONDS)
    if not steps.partners.get(user_id) or steps.partners.adopt(user_id, photo.file_id, photo.unique_id):
        return
    if photo.file_id not in steps.partners.list_photos(user_id):  # pinned meanwhile, it may be the old one that stays
        steps.forget.photos([photo.file_id], user_id)


class ProfileLookup:
    """Calls getUserProfilePhotos first, then getChat, which also knows public photos, groups and channels."""

    def __init__(self, telegram: BotApi, budget: Budget) -> None:
        self.telegram = telegram
        self.budget = budget

    def look_up(self, user_id: int, job: JobContext) -> list[PhotoSize]:
        """Returns every size of the newest picture. Raises NoPhoto if the bot can see none."""
        sizes: list[PhotoSize] = []
        if user_id > 0:
            sizes = self.budget.spend(job, lambda deadline: self.telegram.get_profile_photo(user_id, deadline))
        if not sizes:
            sizes = self.budget.spend(job, lambda deadline: self.telegram.get_chat_photo(user_id, deadline))
        if not sizes:
            raise NoPhoto("no photo, or a hidden one")
        return sizes


def choose_size(sizes: list[PhotoSize], width: int) -> PhotoSize:
    """The smallest size that covers `width` pixels, else the largest: a smaller source is a smaller download."""
    ordered = sorted(sizes, key=lambda size: size.width)
    return next((size for size in ordered if size.width >= width), ordered[-1])
