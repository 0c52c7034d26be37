"""docs/limits.md states the limits of the code."""

from __future__ import annotations

import re

from tests.support.running import ROOT
from warmer import deadline, keys, names, open_files
from warmer.broker import publish
from warmer.errors import Unusable
from warmer.flow import cross_check, retry
from warmer.images import decode, png_webp
from warmer.images import render as images
from warmer.settings import Settings
from warmer.state import people, person, records, tombstones
from warmer.telegram import client as telegram
from warmer.webhook import delivery, receiver
from web import problems, wiring
from web.api import partners as routes
from web.api import rate_limit as throttle
from web.photos import flights
from web.photos import placeholder as placeholder
from web.server import connection, gathering, worker

PAGE = (ROOT / "docs" / "limits.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \| \[", PAGE, re.MULTILINE))
KIB, MIB = 2**10, 2**20
SHARES = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}
LIMITS = {
    "ids per `resolve` and `refresh`, file ids per `warm`": f"{routes.BATCH_MAX}",
    "look-ups of one id for `refresh`": f"one in {keys.REFRESHED_SECONDS} s",
    "partners per list": f"{routes.LIST_MAX}",
    "an id": f"below 2^{keys.MAX_ID.bit_length() - 1}, either sign",
    "a name": f"{names.NAME_MAX} characters",
    "writes per caller, method and minute": "a user {user}, a server {server:,}".format(**throttle.PER_MINUTE),
    "the head of a request, its body": f"{connection.MAX_HEAD_BYTES // KIB} KiB, {problems.MAX_BODY_BYTES // KIB} KiB",
    "time to send a request": f"{gathering.GatheringWorker.request_seconds:.0f} s",
    "connections per web process": f"{worker.CONNECTIONS_MAX:,}, or {3 * wiring.THREADS} fewer than its open files",
    "clients that wait for a picture per web process": (
        f"{SHARES[worker.WAITING_SHARE]} of its connections, for {flights.FLIGHTS_MAX} different pictures, "
        "each size and format counted apart; with all places taken, "
        "those of clients that have ended their side are free. "
        f"{SHARES[wiring.PLACES / wiring.THREADS].capitalize()} of its threads for all other clients: "
        "those without keep-alive, or all with listeners of your own or another server than gunicorn"
    ),
    "kernel memory for answers that clients do not read, per web process": (
        f"{worker.CONNECTIONS_MAX * 2 * connection.SEND_BUFFER_BYTES / 10**9:.1f} GB: "
        f"{2 * connection.SEND_BUFFER_BYTES // KIB} KiB for each connection"
    ),
    "requests in threads per web process": (
        f"{wiring.THREADS}, of which {SHARES[wiring.PLACES / wiring.THREADS]} may wait for a picture, "
        f"and {SHARES[worker.LOOKS_SHARE]} look for one"
    ),
    "initials in a URL": f"{placeholder.LETTERS_MAX} letters, numbers or emoji",
    "a picture from Telegram": (f"{telegram.MAX_PHOTO_BYTES // MIB} MiB, {decode.MAX_PIXELS // 1_000_000} megapixels"),
    "downloads in a row of an empty file, of text or of a picture that is cut off": (
        f"{retry.RETRIES[Unusable].max_tries}, then it is unavailable for an hour"
    ),
    "memory to decode one picture": (
        f"{decode.MAX_DECODE_BYTES // 10**6} MB: for a WebP, lossless or not, "
        f"about {decode.MAX_DECODE_BYTES // png_webp.WEBP_BYTES_PER_PIXEL // 10**6} megapixels"
    ),
    "an inline preview": f"{images.PREVIEW_MAX_CHARACTERS} characters",
    "open files of a process": f"at least {open_files.LEAST}; the web tier uses up to {wiring.OPEN_FILES}",
    "an attempt to deliver an event; attempts at one": (
        f"{receiver.ATTEMPT_SECONDS:.0f} s; for {delivery.GIVE_UP_SECONDS / 86_400:.0f} day".replace("1 day", "a day")
    ),
    "messages for the webhook that wait": (
        f"{publish.EVENTS_MAX:,}, and up to {publish.EVENTS_UNTIL_LOOK} more for each process; "
        "rounds of beat publish the rest"
    ),
    "events of an id that wait": f"{records.EVENTS_MAX}, about 350 bytes of Redis memory each; more are merged",
    "a job for a picture; its check for an outage": (
        f"{deadline.TASK_SECONDS:.0f} s; {cross_check.CHECK_SECONDS:.0f} s more"
    ),
    "partners in the list": (
        f"the newest {people.RECENT_CAP:,}, or `REWARM_PARTNERS` if that is more; "
        "the service keeps the newest `REWARM_PARTNERS` warm; records have no cap"
    ),
    "former pictures that forgetting a person removes": f"{person.FORMER_MAX}",
    "tombstones of forgotten subjects": (
        f"the newest {tombstones.TOMBSTONES_MAX:,}, "
        f"about {tombstones.TOMBSTONES_MAX * tombstones.TOMBSTONE_BYTES // 10**6} MB of Redis memory"
    ),
    "jobs that Flower keeps": f"`FLOWER_MAX_TASKS`, {Settings.model_fields['flower_max_tasks'].default:,}: about 45 MB",
    "files that `/metrics` reads": "two for each running process, and two for all ended ones",
    "eager messages waiting in one lane": f"{publish.EAGER_MAX}; more go to the schedule",
}


def test_every_limit_on_the_page_equals_the_limit_in_the_code() -> None:
    assert ROWS == LIMITS
