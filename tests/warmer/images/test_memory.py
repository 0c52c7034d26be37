"""32 threads that decode the worst pictures at the same time use bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.hostile_pictures import many_scans, noise, png, save, text_bomb
from tests.support.hostile_webp import webp_of_groups
from tests.support.thorough import THOROUGH

ROOT = Path(__file__).resolve().parents[3]
GROWTH_MEGABYTES = 150
ROUNDS = 6 if THOROUGH else 4
REFUSED = 3  # of the worst


def make_worst() -> list[bytes]:
    """Pictures at the limits for decoding alone or beside others."""
    cmyk, clear = Image.new("CMYK", (300, 53_333), (10, 20, 30, 40)), (10, 20, 30, 40)
    return [
        png(4000, 4000, depth=16, interlaced=True),
        png(1279, 1560),
        png(1400, 1400, extra=[text_bomb(i, b"iTXt") for i in range(60)]),
        many_scans(4000, 4000, 10, components=3),
        many_scans(1400, 1400, 30, components=3),
        save(cmyk, "JPEG", subsampling=0),
        save(Image.new("RGBA", (2300, 2300), clear), "WEBP", lossless=True, method=0),
        save(Image.new("RGBA", (4000, 4000), clear), "WEBP", lossless=True, method=0),
        save(Image.new("RGBA", (900, 900), clear), "WEBP", lossless=True, method=0),
        webp_of_groups(512, 12_000),
        webp_of_groups(1024, 40_000),
        save(noise(1800, 1800), compress_level=0),  # 9.7 MB
        save(noise(1279, 1279), compress_level=1),
        save(noise(640, 640), "JPEG"),
        save(noise(640, 640), "WEBP"),
    ]


def make_small() -> list[bytes]:
    """Pictures at the limit for decoding beside others."""
    clear = (10, 20, 30, 40)
    return [
        png(1400, 1400),
        png(1279, 1279),
        save(noise(1000, 1000), compress_level=1),
        save(Image.new("RGBA", (900, 900), clear), "WEBP", lossless=True, method=0),
        *[many_scans(1400, 1400, 16, components=3)] * 6,  # 12 MB for a while
    ]


@pytest.mark.parametrize("make", [make_worst, make_small] if THOROUGH else [make_small])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process's memory is read in /proc")
def test_memory_stays_bounded_with_32_threads_of_the_worst_pictures(
    tmp_path: Path, make: Callable[[], list[bytes]]
) -> None:
    names = []
    for index, data in enumerate(pictures := make()):
        (tmp_path / str(index)).write_bytes(data)
        names.append(str(tmp_path / str(index)))
    command = [sys.executable, "-m", "tests.support.render_in_threads", str(ROUNDS), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    took = json.loads(done.stdout)
    assert took["grown_megabytes"] <= GROWTH_MEGABYTES, took
    assert took["kept_megabytes"] <= GROWTH_MEGABYTES / 3, took
    too_big = REFUSED if make is make_worst else 0
    expected = {"squares": ROUNDS * (len(pictures) - too_big), "TooBig": ROUNDS * too_big}
    assert took["outcomes"] == {name: number for name, number in expected.items() if number}, took
