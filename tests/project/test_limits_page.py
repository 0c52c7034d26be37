"""docs/limits.md says the limits that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from warmer import deadline, keys, names
from warmer.broker import publish
from warmer.images import render as images
from warmer.state import partners, profiles
from warmer.telegram import client as telegram
from web import problems
from web.api import partners as routes
from web.api import rate_limit as throttle
from web.photos import placeholder as stand_in
from web.photos import waiting
from web.server import connection, worker

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \| \[", PAGE, re.MULTILINE))
KIB, MIB = 2**10, 2**20
LIMITS = {
    "ids in one `resolve`, file ids in one `warm`": f"{routes.BATCH_MAX}",
    "partners in one list": f"{routes.LIST_MAX}",
    "an id": f"below 2^{keys.MAX_ID.bit_length() - 1}, either sign",
    "a name": f"{names.NAME_MAX} characters",
    "writes of one caller a minute, by method": "a user's {user}, a server's {server:,}".format(**throttle.PER_MINUTE),
    "a request's head, its body": f"{connection.MAX_HEAD_BYTES // KIB} KiB, {problems.MAX_BODY_BYTES // KIB} KiB",
    "a request, until it has come": f"{worker.GatheringWorker.request_seconds:.0f} s",
    "requests of a web process that are worked on at once": (
        f"{waiting.THREADS}, of which half may wait for a picture"
    ),
    "initials in a URL": f"{stand_in.LETTERS_MAX} letters, numbers or emoji",
    "a picture of Telegram's": (f"{telegram.MAX_PHOTO_BYTES // MIB} MiB, {images.MAX_PIXELS // 1_000_000} megapixels"),
    "an inline preview": f"{images.PREVIEW_MAX_CHARACTERS} characters",
    "one warming, from first call to last": f"{deadline.TASK_SECONDS:.0f} s",
    "partners that can be listed or kept warm": (
        f"the newest {partners.RECENT_CAP:,}, or `REWARM_PARTNERS` if that is more; records have no cap"
    ),
    "former pictures of somebody that forgetting ends, too": f"{partners.FORMER_MAX}",
    "eager tasks that wait in one lane": f"{publish.EAGER_MAX}; what is more is due instead",
}


def test_every_limit_is_that_of_the_code() -> None:
    assert ROWS == LIMITS


def test_profiles_remember_as_many_former_pictures_as_partners_do() -> None:
    assert profiles.FORMER_MAX == partners.FORMER_MAX
