"""The body of an event, as receivers get it. A new field is added here and in web/api/openapi.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from warmer.cache_tags import CacheTags
from warmer.keys import Subject
from warmer.photo_urls import PhotoUrls
from warmer.state.events import Event
from warmer.state.person import format_instant


@dataclass(frozen=True)
class Payloads:
    """Formats events. Each attempt at one has the same body, unless a setting changed in between."""

    urls: PhotoUrls
    cache_tags: CacheTags

    def format(self, person_id: int, event: Event) -> str:
        """JSON with `type`, `timestamp` and `data`.

        `cache_tags` and `urls` name what caches must drop: the answers of the id's own URLs, and those of the pictures
        that it shows no more.
        """
        person = Subject.of_person(person_id)
        stale = [person, *event.stale]
        data: dict[str, Any] = {"id": person_id}
        if event.type == "photo.changed":
            url, srcset = self.urls.of(event.file_id)
            data |= {"photo_version": event.version, "photo_url": url, "photo_srcset": srcset}
        data["cache_tags"] = [self.cache_tags.of(subject) for subject in stale]
        data["urls"] = [url for subject in stale for url in self.urls.list_sizes(subject)]
        at = format_instant(round(event.at * 1_000_000))
        return json.dumps({"type": event.type, "timestamp": at, "data": data}, separators=(",", ":"))
