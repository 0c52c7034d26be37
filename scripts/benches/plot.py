"""Draws results.json as bars, one panel per kind of work: `plot.py results.json plot.png`. Needs matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a backend without a screen

# The drawn figure of each part, and whether more of it is better.
DRAWN = {
    "hits": ("requests/s", True),
    "cold": ("photos/s", True),
    "open-app": ("ms", False),
    "render": ("CPU ms", False),
    "memory": ("RSS MB", False),
    "scale": ("ms", False),
}
OURS = ("this service", "avatar warmer")
BLUE, GREY, INK, PALE = "#1f77b4", "#b8bec6", "#222222", "#6b7280"


def list_panels(results: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Titles with their measurements."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for part in results["parts"]:
        figure, is_rate = DRAWN[part["name"]]
        better = "more is better" if is_rate else "less is better"
        for one in part["measurements"]:
            if one["figure"] == figure:
                panels.setdefault(f"{part['name']}: {one['work']}, {figure} ({better})", []).append(one)
    return list(panels.items())


def draw(results: dict[str, Any], picture: Path) -> None:
    """Write the picture."""
    panels = list_panels(results)
    heights = [len(bars) for _, bars in panels]  # all bars have the same thickness
    size = (9, 0.25 * sum(heights) + 0.4 * len(panels) + 0.4)  # inches: bars, titles, the last line
    figure, axes = plt.subplots(
        len(panels), 1, figsize=size, squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, (title, bars) in zip(axes[:, 0], panels, strict=True):
        draw_panel(axis, title, bars)
    facts = results["machine"]
    figure.supxlabel(f"{facts['processor']}, {facts['date']}", fontsize=8, color=PALE)
    figure.savefig(picture, dpi=110, facecolor="white")


def draw_panel(axis: Any, title: str, bars: list[dict[str, Any]]) -> None:
    """One kind of work: a bar per contestant, its figure, and a line from the lowest round to the highest."""
    values = [bar["value"] for bar in bars]
    colours = [BLUE if bar["who"].startswith(OURS) else GREY for bar in bars]
    axis.barh(range(len(bars)), values, color=colours, height=0.72)
    axis.set_yticks(range(len(bars)), [bar["who"] for bar in bars])
    for place, bar in enumerate(bars):
        axis.plot([bar["low"], bar["high"]], [place, place], color=INK, linewidth=1, alpha=0.6)
        text = f"{bar['value']:,.0f}" if bar["value"] >= 100 else f"{bar['value']:.3g}"
        axis.annotate(
            text, (max(bar["value"], bar["high"]), place), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK)
    axis.set_xlim(0, max(max(bar["high"] for bar in bars), max(values)) * 1.12 or 1)
    axis.set_ylim(len(bars) - 0.5, -0.5)  # the first on top
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.set_xticks([])
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text("utf-8")), Path(sys.argv[2]))
