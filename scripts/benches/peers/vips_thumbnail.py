"""Render a picture with libvips TIMES times, and print the CPU milliseconds of one rendering.

vips_thumbnail.py SOURCE TARGET SIZE QUALITY EFFORT TIMES
"""

import sys
import time
from pathlib import Path

import pyvips


def render(data: bytes, size: int, quality: int, effort: int) -> bytes:
    """The middle square in that size as WebP, without metadata."""
    image = pyvips.Image.thumbnail_buffer(data, size, height=size, crop="centre")
    return bytes(image.webpsave_buffer(Q=quality, effort=effort, keep="none"))


def main() -> None:
    """Warm up, then measure."""
    source, target, *numbers = sys.argv[1:]
    size, quality, effort, times = map(int, numbers)
    data = Path(source).read_bytes()
    for _ in range(5):
        Path(target).write_bytes(render(data, size, quality, effort))
    started = time.process_time()
    for _ in range(times):
        render(data, size, quality, effort)
    print((time.process_time() - started) / times * 1000)


if __name__ == "__main__":
    main()
