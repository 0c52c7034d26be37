"""32 threads that decode the worst pictures at the same time use bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.hostile_pictures import chunk, many_scans, noise, png, save, text_bomb
from tests.support.hostile_webp import alpha_of_groups, webp_of_groups
from tests.support.running import ROOT
from tests.support.thorough import THOROUGH

GROWTH_MEGABYTES = 150
ROUNDS = 6 if THOROUGH else 4
REFUSED = 2  # of the worst


def make_worst() -> list[bytes]:
    """Pictures at the limits for decoding alone or beside others."""
    cmyk, clear = Image.new("CMYK", (300, 53_333), (10, 20, 30, 40)), (10, 20, 30, 40)
    return [
        png(4000, 4000, depth=16, interlaced=True),
        png(4000, 4000, depth=16, color=2, extra=[chunk(b"tRNS", bytes(6))]),
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


NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process's memory is read in /proc"
)
OTHER_BYTES = 9_000_000  # of the process: the encoders' share, and what the allocator leaves behind


def run_in_a_child(module: str, pictures: list[bytes], folder: Path, *arguments: str) -> Any:
    """Returns the output of the module for these pictures."""
    names = [str(folder / str(index)) for index in range(len(pictures))]
    for name, data in zip(names, pictures, strict=True):
        Path(name).write_bytes(data)
    command = [sys.executable, "-m", f"tests.support.{module}", *arguments, *names]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def make_lossless() -> list[bytes]:
    """Lossless pictures, and lossless alpha channels with many details, in all shapes that stand in a WebP."""
    plain, clear = noise(1024, 768), noise(1024, 768, "RGBA")
    small = [picture.resize((512, 512)) for picture in (plain, clear)]
    return [
        *(
            save(picture, "WEBP", lossless=True, method=method)
            for picture in (*small, plain, clear)
            for method in (0, 4)
        ),
        save(small[1].quantize(200).convert("RGBA"), "WEBP", lossless=True),
        *(
            save(picture, "WEBP", quality=80, alpha_quality=share)
            for picture in (small[1], clear)
            for share in (50, 100)
        ),
        save(clear, "WEBP", save_all=True, append_images=[clear.rotate(180)], lossless=True, method=0),
        save(clear, "WEBP", save_all=True, append_images=[clear.rotate(180)], method=0),
        save(noise(1500, 1500, "RGBA"), "WEBP", lossless=True, method=0),
        webp_of_groups(256, 4096),
        webp_of_groups(512, 12_000, transforms=True),
        webp_of_groups(256, 4096, long_codes=True),
        alpha_of_groups(256, 4096),
    ]


@NEEDS_PROC
def test_a_webp_takes_no_more_memory_than_is_reserved_for_it(tmp_path: Path) -> None:
    figures = run_in_a_child("measure_decode", make_lossless(), tmp_path)
    assert [grown for grown, reserved in figures if grown > reserved + OTHER_BYTES] == [], figures


@pytest.mark.parametrize("make", [make_worst, make_small] if THOROUGH else [make_small])
@NEEDS_PROC
def test_memory_stays_bounded_with_32_threads_of_the_worst_pictures(
    tmp_path: Path, make: Callable[[], list[bytes]]
) -> None:
    pictures = make()
    took = run_in_a_child("render_in_threads", pictures, tmp_path, str(ROUNDS))
    assert took["grown_megabytes"] <= GROWTH_MEGABYTES, took
    assert took["kept_megabytes"] <= GROWTH_MEGABYTES / 3, took
    too_big = REFUSED if make is make_worst else 0
    expected = {"squares": ROUNDS * (len(pictures) - too_big), "TooBig": ROUNDS * too_big}
    assert took["outcomes"] == {name: number for name, number in expected.items() if number}, took
