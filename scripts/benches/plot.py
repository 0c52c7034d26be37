"""Draws pictures of measurements: panels one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a backend without a screen

from benches.results import show_number

BLUE, GREY, INK, PALE = "#1f77b4", "#b8bec6", "#222222", "#6b7280"
OURS = "this service"


@contextmanager
def open_picture(picture: Path, titles: Sequence[str], **options: Any) -> Iterator[tuple[Any, list[Any]]]:
    """A figure with a panel for each title; the picture is written when the block ends."""
    figure, axes = plt.subplots(len(titles), 1, squeeze=False, layout="constrained", **options)
    panels = list(axes[:, 0])
    for axis, title in zip(panels, titles, strict=True):
        axis.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    yield figure, panels
    figure.savefig(picture, dpi=85, facecolor="white")
    plt.close(figure)


def draw_bars(panels: Mapping[str, Sequence[Mapping[str, Any]]], note: str, picture: Path, **options: Any) -> None:
    """Draw a bar for each measurement, its figure, and a line from the lowest round to the highest."""
    heights = [len(bars) for bars in panels.values()]  # all bars have the same thickness
    size = (11, 0.32 * sum(heights) + 0.52 * len(panels) + 0.52)  # inches: bars, titles, the last line
    with open_picture(picture, list(panels), figsize=size, height_ratios=heights, **options) as (figure, axes):
        for axis, bars in zip(axes, panels.values(), strict=True):
            _draw_panel(axis, bars)
        figure.supxlabel(note, fontsize=8, color=PALE)


def _draw_panel(axis: Any, bars: Sequence[Mapping[str, Any]]) -> None:
    colours = [BLUE if bar["who"].startswith(OURS) else GREY for bar in bars]
    axis.barh(range(len(bars)), [bar["value"] for bar in bars], color=colours, height=0.72)
    for place, bar in enumerate(bars):
        axis.plot([bar["low"], bar["high"]], [place, place], color=INK, linewidth=1, alpha=0.6)
        end = (max(bar["value"], bar["high"]), place)
        axis.annotate(show_number(bar["value"]), end, (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(bars)), [bar["who"] for bar in bars])
    axis.set_ylim(len(bars) - 0.5, -0.5)  # the first on top
    axis.margins(x=0.12)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", bottom=False, labelbottom=False)
    axis.spines["bottom"].set_visible(False)
