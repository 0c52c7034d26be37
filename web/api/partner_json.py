"""Partner and Status in JSON, as clients send and receive them.

A new field is added here and in web/api/openapi.json. If it is stored, it is also a field of `Person` in
warmer/state/person.py. If clients set it, it is also an argument of `_register` in web/api/partners.py, of
`People.register` in warmer/state/people.py and of `note_registration` in person.py. If lists show it,
`is_listed_differently` there compares it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from warmer.keys import FILE_ID
from warmer.names import NAME_MAX, has_controls
from warmer.photo import PhotoStatus
from warmer.state.person import Person, format_instant
from web.api.context import ApiContext

Json = dict[str, Any]


def _has_no_controls(value: str) -> str:
    if has_controls(value):
        raise ValueError("must not hold control characters, of lines and directions too")
    return value


Name = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=NAME_MAX), AfterValidator(_has_no_controls)
]
FileId = Annotated[str, StringConstraints(strict=True, pattern=rf"^{FILE_ID.pattern}$")]


class PartnerBody(BaseModel):
    """PUT /api/partner/<id>"""

    model_config = ConfigDict(extra="forbid")
    name: Name
    photo_file_id: FileId | None = None


def show_partners(people: Sequence[Person], context: ApiContext) -> list[Json]:
    """The people with the status of their pictures, in one round trip."""
    statuses = context.store.get_statuses([person.subject for person in people]) if people else []
    return [_show_partner(person, photo, context) for person, photo in zip(people, statuses, strict=True)]


def show_status(subject: str, photo_status: PhotoStatus, context: ApiContext) -> Json:
    """The Status of a picture, with its URLs unless there is no picture."""
    url, srcset = context.urls.of(subject) if photo_status.status != "none" else (None, None)
    return {
        "status": photo_status.status,
        "photo_url": url,
        "photo_srcset": srcset,
        "photo_placeholder": photo_status.preview,
        "photo_version": photo_status.version,
    }


def _show_partner(person: Person, photo_status: PhotoStatus, context: ApiContext) -> Json:
    status = show_status(person.subject, photo_status, context)
    return {
        "id": person.id,
        "name": person.name,
        "joined_at": format_instant(person.joined_us or 0),
        "photo_file_id": person.shown[0] if person.shown else None,
        "photo_status": status.pop("status"),
        "photo_ready": photo_status.status == "ready",
        **status,
    }
