"""The Sphinx configuration of these pages; `./scripts/docs` builds the site."""

from __future__ import annotations

from pathlib import Path
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
html_static_path = ["static"]
html_css_files = ["home.css"]
html_theme_options = {  # the colours of the service's own pages
    "light_css_variables": {"color-brand-primary": "#c03f0c", "color-brand-content": "#c03f0c"},
    "dark_css_variables": {"color-brand-primary": "#ff9a5c", "color-brand-content": "#ff9a5c"},
}
html_copy_source = html_show_copyright = False

# What the theme and Sphinx leave out, and what a screen reader or a keyboard needs.
MENDED = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="Contents" class="toc-drawer',
    '<div class="content-icon-container">': '<div class="content-icon-container" role="region" aria-label="View">',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',  # it scrolls on a phone, as code does
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
}


def setup(app: Any) -> None:
    """Subscribe to Sphinx's events."""
    app.connect("build-finished", mend_pages)
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


def mend_pages(app: Any, error: Exception | None) -> None:
    """Make the written pages accessible. Fails if a later theme writes them otherwise."""
    pages = {path: path.read_text("utf-8") for path in Path(app.outdir).rglob("*.html")}
    home = pages.get(Path(app.outdir) / "index.html", "")
    lost = [new for old, new in MENDED.items() if old not in home and new not in home]
    if not error and lost:
        raise ValueError(f"the home has none of {lost}: look at it with axe again")
    for path, page in pages.items():
        for old, new in MENDED.items():
            page = page.replace(old, new)
        path.write_text(page, "utf-8")
