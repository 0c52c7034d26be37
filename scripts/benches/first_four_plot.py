"""Draws first-four.json: a pair of bars per state of the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a backend without a screen

from benches.plot import BLUE, GREY, INK, PALE
from benches.service import NAME

TITLE = "Opening the page on a phone: the last of the first four pictures is loaded after"
STATES = {"cold": "cold:\nfirst request ever", "warm": "warm,\na new browser"}
LAST = "warm,\nthe same browser again"


def draw(results: dict[str, Any], picture: Path) -> None:
    """Write the picture: medians, and a line from the fastest round to the slowest."""
    measured = results["measurements"]
    works = list(dict.fromkeys(one["work"] for one in measured))
    contestants = sorted({one["who"] for one in measured}, key=lambda who: who != NAME)
    figure, axis = plt.subplots(figsize=(9, 3.9), layout="constrained")
    for offset, who in enumerate(contestants):
        bars = [next(one for one in measured if (one["work"], one["who"]) == (work, who)) for work in works]
        places = [place + 0.38 * offset for place in range(len(works))]
        label = who if who == NAME else "the same page, each picture fetched on request"
        axis.barh(places, [bar["value"] for bar in bars], 0.35, color=BLUE if who == NAME else GREY, label=label)
        for place, bar in zip(places, bars, strict=True):
            axis.plot([bar["low"], bar["high"]], [place, place], color=INK, linewidth=1, alpha=0.6)
            text = f"{bar['value']:,.0f} ms"
            axis.annotate(text, (bar["high"], place), (5, 0), textcoords="offset points", va="center", fontsize=10)
    axis.set_yticks([place + 0.19 for place in range(len(works))], [STATES.get(work, LAST) for work in works])
    axis.set_ylim(len(works) - 0.35, -0.3)  # the first on top
    axis.set_xlim(0, max(one["high"] for one in measured) * 1.12)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0, labelsize=10)
    axis.set_title(TITLE, loc="left", fontsize=11, fontweight="bold", color=INK)
    axis.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=2, frameon=False, fontsize=10)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    facts = results["machine"]
    note = f"from navigation start to the load event, Chromium, median of {results['rounds']}; Telegram takes 50 ms "
    note += f"a call, 100 ms a connection\n{facts['processor']}, {facts['date']}"
    figure.supxlabel(note, fontsize=8, color=PALE)
    figure.savefig(picture, dpi=110, facecolor="white")
