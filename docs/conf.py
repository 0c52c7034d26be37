"""The Sphinx configuration of these pages; `./scripts/docs` builds the site."""

from __future__ import annotations

from typing import Any

from docutils import nodes

project = "avatar-warmer"
extensions = ["myst_parser", "sphinxcontrib.openapi"]
exclude_patterns = ["benchmarks/results.json"]
myst_enable_extensions = ["html_image"]  # Sphinx copies the picture of <img width=…>, too
myst_heading_anchors = 3  # the anchors that code hosts generate
html_theme = "furo"
html_title = "avatar-warmer"
html_logo = html_favicon = "../web/static/logo.svg"  # the pages' own
html_copy_source = False


def setup(app: Any) -> None:
    """Subscribe to Sphinx's events."""
    app.connect("source-read", link_to_front_page)
    app.connect("doctree-read", drop_repeats)


def link_to_front_page(_app: Any, _name: str, source: list[str]) -> None:
    """Lead links to README.md, which lies outside of docs/, to the page that includes it."""
    source[0] = source[0].replace("](../README.md", "](index.md")


def drop_repeats(_app: Any, page: nodes.document) -> None:
    """List a header once that several answers of one route share."""
    for fields in page.findall(nodes.field_list):
        seen: set[str] = set()
        for item in list(fields.findall(nodes.list_item)):
            if (text := item.astext()) in seen:
                item.parent.remove(item)
            seen.add(text)
