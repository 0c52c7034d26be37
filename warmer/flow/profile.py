"""Following a profile: from a user or chat id to its newest picture, warmed, and then shown."""

from __future__ import annotations

from warmer.deadline import Errand
from warmer.errors import Busy, GaveUp, NoPhoto, NotMine, Postponed
from warmer.flow.look_up import choose_size
from warmer.flow.steps import Desk
from warmer.flow.warm import warm_photo
from warmer.keys import user_subject
from warmer.photo import PhotoSize
from warmer.state.lease import Claim, Forgotten

SOON_SECONDS = 0.1  # the next tick decides


def follow_profile(user_id: int, errand: Errand, desk: Desk) -> str:
    """One profile: look its newest picture up, warm it, then show it; the old one stays until the new one is ready.

    A picture has changed if the unique id of the one shown is in none of the sizes of the newest: a unique id names
    one size. Raises NotMine where another worker is at it.
    """
    with desk.hold(user_subject(user_id), errand.lane) as claim:
        partner = desk.partners.get(user_id)
        if partner and partner.is_pinned:
            return "done: the picture is pinned"
        try:
            photo = _find_known(user_id, desk) or _look_up(claim, user_id, errand, desk)
        except NoPhoto:
            desk.forget.photos(list(_list_shown(user_id, desk)), user_id)
            desk.profiles.drop(user_id)
            raise
        _warm_and_show(user_id, photo, errand, desk)
    return claim.outcome


def _find_known(user_id: int, desk: Desk) -> PhotoSize | None:
    """The picture of a look-up just now: one whose warming was postponed is not looked up again.

    An older look-up is not trusted, warm or cold: file ids of getChat die when the photo changes.
    """
    profile = desk.profiles.get(user_id)
    if profile is None or desk.profiles.is_older(profile, desk.profiles.fresh_seconds):
        return None
    status = desk.store.glance([profile.file_id])[0].status
    return PhotoSize(profile.file_id, profile.unique_id, 0) if status in ("ready", "warming") else None


def _look_up(claim: Claim, user_id: int, errand: Errand, desk: Desk) -> PhotoSize:
    sizes = desk.look_up(user_id, errand)
    shown = _get_shown(user_id, desk)
    is_unchanged = shown is not None and shown.unique_id in {size.unique_id for size in sizes}
    photo = shown if shown and is_unchanged else choose_size(sizes, desk.store.sizes[-1])
    desk.store.lift(photo.file_id)  # the profile shows it again, whoever forgot it before
    try:
        desk.profiles.put(claim, user_id, photo.file_id, photo.unique_id)
    except Forgotten:  # during the look-up: what was lifted a moment ago stays forgotten
        desk.forget.photos([photo.file_id], user_id)
        raise
    return photo


def _get_shown(user_id: int, desk: Desk) -> PhotoSize | None:
    """The picture that this id shows now, if it is known which one that is."""
    partner, profile = desk.partners.get(user_id), desk.profiles.get(user_id)
    if partner and partner.photo_file_id:
        unique_id = partner.photo_unique_id or desk.store.get_unique_id(partner.photo_file_id)
        return PhotoSize(partner.photo_file_id, unique_id, 0) if unique_id else None
    return PhotoSize(profile.file_id, profile.unique_id, 0) if profile else None


def _list_shown(user_id: int, desk: Desk) -> set[str]:
    profile = desk.profiles.get(user_id)
    return {*desk.partners.drop_photo(user_id), *(profile.list_ever_shown() if profile else [])}


def _warm_and_show(user_id: int, photo: PhotoSize, errand: Errand, desk: Desk) -> None:
    try:
        if not desk.store.get_unavailable(photo.file_id):
            warm_photo(photo.file_id, errand, desk)
    except NotMine as error:
        raise Busy(f"its picture: {error}", retry_after=SOON_SECONDS) from None
    if (cause := desk.store.get_unavailable(photo.file_id)) and not cause.is_absence:
        desk.profiles.drop(user_id)
        raise GaveUp(f"its picture is unavailable ({cause.cause})")
    if not desk.store.is_ready(photo.file_id):
        raise Postponed("its picture comes later", retry_after=SOON_SECONDS)
    if not desk.partners.get(user_id) or desk.partners.adopt(user_id, photo.file_id, photo.unique_id):
        return
    if photo.file_id not in desk.partners.list_photos(user_id):  # pinned meanwhile, it may be the old one that stays
        desk.forget.photos([photo.file_id], user_id)
