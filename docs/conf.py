"""How Sphinx makes a site of these pages: `./scripts/docs`."""

from __future__ import annotations

from typing import Any

from docutils import nodes

project = "avatar-warmer"
extensions = ["myst_parser", "sphinxcontrib.openapi"]
exclude_patterns = ["benchmarks/results.json"]
myst_enable_extensions = ["html_image"]  # <img width=…> is a picture to be copied, too
myst_heading_anchors = 3  # the anchors that code hosts make
html_theme = "furo"
html_title = "avatar-warmer"
html_copy_source = False


def setup(app: Any) -> None:
    """Listen to Sphinx."""
    app.connect("doctree-read", drop_repeats)


def drop_repeats(_app: Any, page: nodes.document) -> None:
    """A header that several answers of one route have is listed once."""
    for fields in page.findall(nodes.field_list):
        seen: set[str] = set()
        for item in list(fields.findall(nodes.list_item)):
            if (text := item.astext()) in seen:
                item.parent.remove(item)
            seen.add(text)
