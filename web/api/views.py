"""Partners and photos as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from warmer.photo import PhotoStatus
from warmer.state.partners import Partner, subject_of
from web.api.context import ApiContext

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


def show_partners(partners: Sequence[Partner], context: ApiContext) -> list[Json]:
    """The partners with the state of their pictures, in one round trip for all."""
    photo_statuses = context.store.get_statuses([subject_of(partner) for partner in partners]) if partners else []
    return [
        _show_partner(partner, get_statuses, context)
        for partner, get_statuses in zip(partners, photo_statuses, strict=True)
    ]


def show_status(subject: str, get_statuses: PhotoStatus, context: ApiContext) -> Json:
    """Status: whether the picture is there, and its URLs unless there is none."""
    url, srcset = context.urls.of(subject) if get_statuses.status != "none" else (None, None)
    return {
        "status": get_statuses.status,
        "photo_url": url,
        "photo_srcset": srcset,
        "photo_placeholder": get_statuses.preview,
        "photo_version": get_statuses.version,
    }


def _show_partner(partner: Partner, get_statuses: PhotoStatus, context: ApiContext) -> Json:
    status = show_status(subject_of(partner), get_statuses, context)
    return {
        "id": partner.id,
        "name": partner.name,
        "joined_at": (EPOCH + timedelta(microseconds=partner.joined_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "photo_file_id": partner.photo_file_id,
        "photo_status": status.pop("status"),
        "photo_ready": get_statuses.status == "ready",
        **status,
    }
