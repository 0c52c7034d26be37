"""How Sphinx makes a site of these pages: `./scripts/docs`."""

from __future__ import annotations

project = "avatar-warmer"
extensions = ["myst_parser", "sphinxcontrib.openapi"]
exclude_patterns = ["benchmarks/results.json"]
myst_heading_anchors = 3  # the anchors that code hosts make
suppress_warnings = [
    "myst.header",  # a page that is included begins with its own heading
    "myst.xref_missing",  # links out of docs/, as in the changelog: tests/test_docs.py follows every one
    "misc.highlighting_failure",  # excerpts of JSON with an ellipsis
]
html_theme = "furo"
html_title = "avatar-warmer"
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
