"""Take the pictures of `/ops` in `docs/pictures/`, of a made-up day with a bad hour.

    .venv/bin/python scripts/screenshots/ops.py

Wants a Chromium on the PATH, the packages of the tests, and Debian's fonts-noto-core, fonts-noto-cjk and
fonts-noto-color-emoji, so that every picture of the documentation has the same letters.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright
from redis import Redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches.testbed import open_testbed
from screenshots.serving import serve
from warmer.errors import InvalidFileId, UpstreamFailed, WarmerError
from warmer.keys import Keys
from warmer.settings import load_settings
from warmer.state.failures import Failures
from warmer.state.stats import MinuteStats, count_latencies
from web import create_app

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
VIEWS: dict[str, tuple[int, int, Literal["light", "dark"], bool]] = {  # pixels; without a height, the whole page
    "ops": (1200, 0, "light", True),
    "ops-phone": (390, 1500, "dark", False),  # beat has ended
}
DAY_MINUTES, BAD, GAP = 1440, range(780, 840), range(300, 345)  # minutes of the day
REASONS: tuple[WarmerError, ...] = (UpstreamFailed("getFile: 502"), InvalidFileId("getFile: 400 Bad Request"))


def make_up_minute(minute: int, dice: random.Random) -> Counter[str]:
    """What is counted in this minute of a day, which is busiest in its middle; in its bad hour Telegram fails."""
    is_bad = minute in BAD
    requests = round(600 * (1.1 - math.cos(2 * math.pi * minute / DAY_MINUTES)) * dice.uniform(0.8, 1.2))
    misses = round(requests * (0.16 if is_bad else dice.uniform(0.01, 0.04)))
    errors = misses // 3 if is_bad else 0
    calls, waiting = 2 * misses, 90 if is_bad else 2
    bucket = Counter({"requests": requests, "hits": requests - misses, "misses": misses, "errors": errors})
    bucket += count_latencies("hit", [dice.lognormvariate(-6, 0.6) for _ in range((requests - misses) // 10)])
    bucket += count_latencies("miss", [dice.lognormvariate(-1.9, 0.9 if is_bad else 0.3) for _ in range(misses)])
    bucket += Counter({"calls": calls, "failed_calls": calls // 3 if is_bad else dice.random() < 0.02})
    bucket += Counter({"pauses": int(is_bad and minute % 10 == 0), "warmings": misses, "failures": errors})
    bucket += Counter({"unavailable:none": int(dice.random() < 0.3), "unavailable:gave-up": int(is_bad)})
    bucket["due"] = 1900 + round(100 * math.sin(minute / 90))
    bucket["workers"] = 1 if is_bad else 2
    return bucket | Counter({f"queue:{lane}": dice.randrange(waiting) for lane in ("tick", "hot", "warm", "rewarm")})


def make_up_day(redis: Redis, keys: Keys) -> None:
    """Fill the last 24 hours, and a few failures."""
    dice, now = random.Random(7), redis.time()[0]  # noqa: S311 - the same day every time
    pipe = redis.pipeline(transaction=False)
    for minute in range(DAY_MINUTES):
        if minute not in GAP:
            fields = {name: str(number) for name, number in make_up_minute(minute, dice).items() if number >= 0}
            pipe.hset(
                keys.stats(now // 60 - DAY_MINUTES + 1 + minute), items=[x for pair in fields.items() for x in pair]
            )
    for name in ("host-1", "host-2"):
        pulse = {"name": name, "bot": "ok", "bot_name": "Warm", "bot_username": "warm_bot"}
        pipe.set(keys.worker(name), json.dumps(pulse))
        pipe.zadd(keys.workers, {name: now})
    pipe.zadd(keys.schedule, {f"user:{number}": now + 11 * number for number in range(1, 1950)})
    pipe.execute()
    failures = Failures(redis, keys, MinuteStats(redis, keys))
    for number in range(6):
        failures.note(f"AgACAgIAAxkBAAIBcGab{number:04}example", REASONS[number % 2])
        redis.zadd(keys.failed, {f"AgACAgIAAxkBAAIBcGab{number:04}example": now - 3000 + 450 * number})
    failures.stats.flush()


@contextmanager
def serving() -> Iterator[tuple[str, dict[str, str], Callable[[bool], object]]]:
    """The page of that day; its URL, the headers that open it, and what starts or ends beat."""
    with open_testbed() as testbed:
        redis = testbed.start_redis()
        os.environ |= testbed.environment  # where Celery looks, too
        settings = load_settings()
        keys = Keys(settings.bot_id)
        make_up_day(redis, keys)
        key = {"Authorization": f"Bearer {testbed.environment['API_KEYS']}"}

        def has_beat(is_on: bool) -> object:
            return redis.set(keys.beat, "1") if is_on else redis.delete(keys.beat)

        with serve(create_app(settings)) as url:
            yield f"{url}/ops", key, has_beat


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    with serving() as (url, key, has_beat), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, (width, height, scheme, is_well) in VIEWS.items():
            has_beat(is_well)
            size: ViewportSize = {"width": width, "height": height or 800}
            page = browser.new_page(viewport=size, color_scheme=scheme, extra_http_headers=key)
            page.goto(url)
            taken = Image.open(BytesIO(page.screenshot(full_page=not height)))
            taken.quantize(64, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
