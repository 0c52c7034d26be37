"""Shows the pages of the documentation, as this release has them: the links of `/ops` and of the alerts lead here.

At night the runbook is then where the service is, without a site of its own. Pictures are left out. An installation
without the folder has no pages.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from flask import Blueprint, Response, render_template
from markdown_it import MarkdownIt

from warmer.sources import PROJECT
from web.problems import Problem

bp = Blueprint("docs", __name__)

FOLDER = PROJECT / "docs"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@bp.get("/docs/<name>.md")
def show_page(name: str) -> Response:
    """One page, as HTML. It has the path of its source, so that the links between the pages lead to each other."""
    path = {path.stem: path for path in FOLDER.glob("*.md")}.get(name)
    if path is None:
        raise Problem(404, "there is no such page in this installation")
    title, body = _render(path)
    response = Response(render_template("docs.html", title=title, body=body), mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@cache
def _render(path: Path) -> tuple[str, str]:
    """The title and the HTML of a page."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("image", lambda *_: "")
    tokens, title = markdown.parse(path.read_text("utf-8")), path.stem
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", _make_anchor(inline.content))
            title = inline.content if opening.tag == "h1" else title
    return title, markdown.renderer.render(tokens, markdown.options, {})


def _make_anchor(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
