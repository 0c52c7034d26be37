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
    """The partners with the status of their pictures, in one round trip."""
    statuses = context.store.get_statuses([subject_of(partner) for partner in partners]) if partners else []
    return [
        _show_partner(partner, photo_status, context) for partner, photo_status in zip(partners, statuses, strict=True)
    ]


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


def _show_partner(partner: Partner, photo_status: PhotoStatus, context: ApiContext) -> Json:
    status = show_status(subject_of(partner), photo_status, context)
    return {
        "id": partner.id,
        "name": partner.name,
        "joined_at": (EPOCH + timedelta(microseconds=partner.joined_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "photo_file_id": partner.photo_file_id,
        "photo_status": status.pop("status"),
        "photo_ready": photo_status.status == "ready",
        **status,
    }
