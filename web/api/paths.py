"""How the paths of routes are matched."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


class PartnerName(BaseConverter):
    """What may be an id; `me` and `recent` have routes of their own, and no other methods than these."""

    regex = r"(?!(?:me|recent)\Z)[^/]+"
