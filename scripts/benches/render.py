"""Rendering: the function that a worker calls, beside libvips, in CPU time; and what the encoders cost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from benches import cpu, encoders, peers_env, sources
from benches.book import Book
from benches.rows import Part, Row
from warmer.flow.order import put_first
from warmer.images.render import ENCODERS, render
from warmer.photo import Cut, Original, Rendering
from warmer.settings import Settings

VIPS = Path(__file__).with_name("peers") / "vips_thumbnail.py"
SIZE = 160
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
ROUNDS, TIMES = 7, 100
ONE, ALL, PREVIEWED = f"render {SIZE} px", "render all sizes", "render all sizes and the inline preview"
OURS, LIBVIPS = "this service", "libvips"


class DoesNotRun(Exception):
    """libvips cannot be measured here."""


def run(say: Callable[[str], None]) -> Part:
    """One size beside libvips, all sizes beside one, and the encoder table."""
    part, book = Part("render"), Book()
    source = sources.draw(0)
    with TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            say(f"Rendering, round {number + 1} of {ROUNDS}…")
            _measure_ours(book, source)
            if not part.skipped:
                try:
                    book.note(ONE, LIBVIPS, {"CPU ms": _run_libvips(source, Path(folder))})
                except DoesNotRun as error:
                    part.skipped.append(f"libvips: {error}")
        if not part.skipped:
            _weigh(book, source, (Path(folder) / "out.webp").read_bytes())
    say("The encoders, one after the other…")
    encoders.measure(book)
    part.measurements = book.list_measurements()
    part.rows = _list_rows(book)
    return part


def _list_rows(book: Book) -> list[Row]:
    one, every = (book.median(work, OURS, "CPU ms") for work in (ONE, ALL))
    rows = [Row(ALL, f"{SIZE} px alone", every / one, 4.0, is_floor=False)]
    if book.has(ONE, LIBVIPS):
        rows.insert(0, Row(ONE, LIBVIPS, book.median(ONE, LIBVIPS, "CPU ms") / one, 1.3))
    return rows


def _measure_ours(book: Book, source: bytes) -> None:
    for work, sizes, with_preview in ((ONE, (SIZE,), False), (ALL, SIZES, False), (PREVIEWED, SIZES, True)):
        call = partial(_render, source, sizes, with_preview=with_preview)
        call()
        book.note(work, OURS, {"CPU ms": cpu.measure_ms(call, TIMES)})


def _render(source: bytes, sizes: Sequence[int], *, with_preview: bool) -> list[Rendering]:
    """As a worker renders these sizes for the first time."""
    batches = put_first([Cut(size, "webp") for size in sorted(sizes, reverse=True)], ())
    return list(render(Original(source), batches, with_preview=with_preview))


def _run_libvips(source: bytes, folder: Path) -> float:
    """CPU ms of one rendering by libvips, at our quality and effort, which mean the same to libwebp."""
    python = peers_env.find("python")
    if python is None:
        raise DoesNotRun("is not installed")
    (folder / "in.jpeg").write_bytes(source)
    options = ENCODERS["webp"][1]
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
        raise DoesNotRun(f"does not run here ({done.stderr.strip().splitlines()[-1]})")
    return float(done.stdout)


def _weigh(book: Book, source: bytes, theirs: bytes) -> None:
    """Bytes of both, and how near they come; raises ValueError for pictures that cannot be compared."""
    ours = _render(source, (SIZE,), with_preview=False)[0].variants[0].body
    exact = encoders.shrink(source, SIZE)
    for who, body in ((OURS, ours), (LIBVIPS, theirs)):
        with Image.open(BytesIO(body)) as image:
            if (image.size, image.mode, image.format) != ((SIZE, SIZE), "RGB", "WEBP"):
                raise ValueError(f"{who} has rendered {image.size}, {image.mode}, {image.format}")
            book.note(ONE, who, {"bytes": len(body), "PSNR dB": encoders.psnr(image, exact)})
