"""Draws a scenario: queue, waits, calls and hit ratio over time, one line per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benches.plot import INK, PALE, open_picture
from planning.timeline import Slice, Timeline

COLOURS = ("#c0392b", "#1f77b4", "#2a9d5c", "#8e6bbf")
MIN_WAITS = 10  # in a slice, for a percentile
HIT_RATIO = "hit ratio, %"
Read = Callable[[Slice, float], float]  # a slice and its seconds


def _percentile(percent: float) -> Read:
    return lambda one, _: float(np.percentile(one.waits, percent)) if len(one.waits) >= MIN_WAITS else float("nan")


def _served(one: Slice, _seconds: float) -> float:
    return min(100.0, 100 * len(one.waits) / max(1, one.counts["misses"]))  # some waits began in the slice before


PANELS: dict[str, list[tuple[str, Read]]] = {
    "most messages in the hot queue": [("-", lambda one, _: one.peaks["hot"])],
    "wait of a served miss, seconds (p50, p99 dotted)": [("-", _percentile(50)), (":", _percentile(99))],
    "getFile calls per second": [("-", lambda one, seconds: one.counts["getFile"] / seconds)],
    "served misses, %": [("-", _served)],
    HIT_RATIO: [("-", lambda one, _: 100 * one.hit_ratio)],
}


def draw(title: str, runs: Mapping[str, Timeline], picture: Path) -> None:
    """Write the picture."""
    with open_picture(picture, list(PANELS), figsize=(9, 10), sharex=True) as (figure, axes):
        for axis, (name, lines) in zip(axes, PANELS.items(), strict=True):
            for colour, (run, timeline) in zip(COLOURS, runs.items(), strict=False):
                minutes = [place * timeline.slice_seconds / 60 for place in range(len(timeline.slices))]
                for style, read in lines:
                    values = [read(one, timeline.slice_seconds) for one in timeline.slices]
                    label = run if style == "-" else None
                    axis.plot(minutes, values, linewidth=1.4, color=colour, linestyle=style, label=label)
            if name != HIT_RATIO:  # which changes by a few hundredths on most days
                axis.set_ylim(bottom=0)
            axis.grid(axis="y", color="#e5e7eb", linewidth=0.8)
        axes[-1].set_xlabel("minutes", fontsize=9, color=PALE)
        figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left", color=INK)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=9, frameon=False)
