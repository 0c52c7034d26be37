"""How Sphinx makes a site of these pages: `./scripts/docs`."""

from __future__ import annotations

project = "avatar-warmer"
extensions = ["myst_parser", "sphinxcontrib.openapi"]
exclude_patterns = ["benchmarks/results.json"]
myst_heading_anchors = 3  # the anchors that code hosts make
html_theme = "furo"
html_title = "avatar-warmer"
html_copy_source = False
