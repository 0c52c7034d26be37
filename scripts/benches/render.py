"""Rendering: the function that a worker calls, compared with libvips in CPU time."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops, ImageStat

from benches import peers_env, sources
from benches.extent import choose
from benches.results import Part, Recorder, Row, make_row
from benches.service import NAME
from warmer.formats import FORMATS
from warmer.images.render import render
from warmer.photo import Rendering, SourceImage, VariantSpec, prioritize_variants
from warmer.settings import Settings

VIPS = Path(__file__).with_name("peers") / "vips_thumbnail.py"
SIZE = 160
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
ROUNDS, TIMES = choose((7, 100), (1, 10))
ONE, ALL, PREVIEWED = f"render {SIZE} px", "render all sizes", "render all sizes and the inline preview"
LIBVIPS = "libvips"


class DoesNotRun(Exception):
    """libvips cannot be measured on this machine."""


def run(say: Callable[[str], None]) -> Part:
    """Compare one size with libvips, and all sizes with one."""
    part, recorder = Part("render"), Recorder()
    source = sources.draw(0)
    with TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            say(f"Rendering, round {number + 1} of {ROUNDS}…")
            _measure_ours(recorder, source)
            if not part.skipped:
                try:
                    recorder.note(ONE, LIBVIPS, {"CPU ms": _run_libvips(source, Path(folder))})
                except DoesNotRun as error:
                    part.skipped.append(f"libvips: {error}")
        if not part.skipped:
            _compare_bytes(recorder, source, (Path(folder) / "out.webp").read_bytes())
    part.measurements = recorder.list_measurements()
    part.rows = _list_rows(recorder)
    return part


def _list_rows(recorder: Recorder) -> list[Row]:
    ratios = recorder.list_ratios("CPU ms", (ALL, NAME), (ONE, NAME))
    rows = [make_row(ALL, f"{SIZE} px alone", ratios, 4.0, is_floor=False)]
    if recorder.has(ONE, LIBVIPS):
        rows.insert(0, make_row(ONE, LIBVIPS, recorder.list_ratios("CPU ms", (ONE, LIBVIPS), (ONE, NAME)), 1.3))
    return rows


def _measure_ours(recorder: Recorder, source: bytes) -> None:
    for work, sizes, with_preview in ((ONE, (SIZE,), False), (ALL, SIZES, False), (PREVIEWED, SIZES, True)):
        call = partial(_render, source, sizes, with_preview=with_preview)
        call()
        recorder.note(work, NAME, {"CPU ms": _measure_cpu(call, TIMES)})


def _render(source: bytes, sizes: Sequence[int], *, with_preview: bool) -> list[Rendering]:
    """Render these sizes as a worker does for a cold picture."""
    batches = prioritize_variants([VariantSpec(size, "webp") for size in sorted(sizes, reverse=True)], ())
    return list(render(SourceImage(source), batches, with_preview=with_preview))


def _run_libvips(source: bytes, folder: Path) -> float:
    """CPU milliseconds of one rendering by libvips, with our quality and method of libwebp."""
    python = peers_env.find("python")
    if python is None:
        raise DoesNotRun("not installed")
    (folder / "in.jpeg").write_bytes(source)
    options = FORMATS["webp"].options
    arguments = [VIPS, folder / "in.jpeg", folder / "out.webp", SIZE, options["quality"], options["method"], TIMES]
    done = subprocess.run(
        [python, *map(str, arguments)],
        env=os.environ | {"VIPS_CONCURRENCY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise DoesNotRun(f"fails here ({done.stderr.strip().splitlines()[-1]})")
    return float(done.stdout)


def _compare_bytes(recorder: Recorder, source: bytes, theirs: bytes) -> None:
    """Bytes and PSNR of both; raises ValueError for pictures that cannot be compared."""
    ours = _render(source, (SIZE,), with_preview=False)[0].variants[0].body
    exact = _shrink(source, SIZE)
    for who, body in ((NAME, ours), (LIBVIPS, theirs)):
        with Image.open(BytesIO(body)) as image:
            if (image.size, image.mode, image.format) != ((SIZE, SIZE), "RGB", "WEBP"):
                raise ValueError(f"{who} rendered {image.size}, {image.mode}, {image.format}")
            recorder.count(ONE, who, {"bytes": len(body), "PSNR dB": _compute_psnr(image, exact)})


def _shrink(source: bytes, size: int) -> Image.Image:
    """The whole picture, decoded and shrunk with the best filter: the reference for PSNR."""
    with Image.open(BytesIO(source)) as image:
        return image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)


def _compute_psnr(image: Image.Image, exact: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB."""
    squares = ImageStat.Stat(ImageChops.difference(image, exact)).sum2
    return 10 * math.log10(255**2 * 3 * exact.width * exact.height / max(1.0, sum(squares)))


def _measure_cpu(call: Callable[[], object], times: int) -> float:
    """CPU milliseconds of one call, in all threads of this process: a busy machine blurs them less than wall time."""
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times * 1000
