"""Partners and photos as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from warmer.photo import Glance
from warmer.state.partners import Partner, subject_of
from web.context import Front

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


def show_partners(partners: Sequence[Partner], front: Front) -> list[Json]:
    """The partners with the state of their pictures, in one round trip for all."""
    glances = front.store.glance([subject_of(partner) for partner in partners]) if partners else []
    return [_show_partner(partner, glance, front) for partner, glance in zip(partners, glances, strict=True)]


def show_status(subject: str, glance: Glance, front: Front) -> Json:
    """Status: whether the picture is there, and its URLs unless there is none."""
    url, srcset = front.urls.of(subject) if glance.status != "none" else (None, None)
    return {
        "status": glance.status,
        "photo_url": url,
        "photo_srcset": srcset,
        "photo_placeholder": glance.preview,
        "photo_version": glance.version,
    }


def _show_partner(partner: Partner, glance: Glance, front: Front) -> Json:
    status = show_status(subject_of(partner), glance, front)
    return {
        "id": partner.id,
        "name": partner.name,
        "joined_at": (EPOCH + timedelta(microseconds=partner.joined_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "photo_file_id": partner.photo_file_id,
        "photo_status": status.pop("status"),
        "photo_ready": glance.status == "ready",
        **status,
    }
