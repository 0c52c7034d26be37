"""Shows the pages of the documentation, as this release has them: the links of `/ops` and of the alerts lead here.

At night the runbook is then where the service is, without a site of its own. Pictures, comments and the directives of
the site are left out. An installation without the folder has no pages.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from flask import Blueprint, Response, render_template
from markdown_it import MarkdownIt

from warmer.sources import PROJECT
from web.problems import Problem

bp = Blueprint("docs", __name__)

FOLDER = PROJECT / "docs"
INCLUDE = re.compile(r"```\{include\} (\S+)\n")
OPENAPI = "../openapi.json"  # of the service, as a page sees it
DIRECTIVE_OF_OPENAPI = re.compile(r"```\{eval-rst\}\n\.\. openapi:: \S+\n```")
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@bp.get("/docs/<name>.md")
def show_page(name: str) -> Response:
    """One page, as HTML. It has the path of its source, so that the links between the pages lead to each other."""
    if name not in (pages := _read_pages()):
        raise Problem(404, "there is no such page in this installation")
    title, body = _render(pages[name])
    page = render_template("docs.html", title=title, body=body, pages=_list_titles())
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@cache
def _read_pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    texts = {path.stem: _include(path.read_text("utf-8")) for path in FOLDER.glob("*.md")}
    return {name: text for name, text in texts.items() if text.startswith("# ")}


def _include(text: str) -> str:
    """Return the file that a page includes as a whole, such as the changelog, if this installation has it."""
    found = INCLUDE.match(text)
    if not found or not (path := FOLDER / found[1]).is_file():
        return text
    return path.read_text("utf-8").replace("](docs/", "](")


@cache
def _list_titles() -> list[tuple[str, str]]:
    """Return the name and the title of each page, by title. The index leads to the same ones on the site."""
    firsts = {name: text.partition("\n")[0] for name, text in _read_pages().items() if name != "index"}
    titles = [(name, first.removeprefix("# ").replace("`", "")) for name, first in firsts.items()]
    return sorted(titles, key=lambda page: page[1].strip("<").lower())


@cache
def _render(text: str) -> tuple[str, str]:
    """Return the title and the HTML of a page."""
    markdown = MarkdownIt("commonmark").enable("table")
    for kind in ("image", "html_block", "html_inline"):
        markdown.add_render_rule(kind, lambda *_: "")
    text = DIRECTIVE_OF_OPENAPI.sub(f"[`/openapi.json`]({OPENAPI}) has them.", text)
    tokens = [token for token in markdown.parse(text) if not token.info.startswith("{")]
    title, anchors = "", Counter[str]()
    following = [*tokens, *tokens[-1:] * 2]
    for token, after, last in zip(tokens, following[1:], following[2:], strict=False):
        token.attrs.pop("style", None)  # the policy permits none
        if token.type == "heading_open":
            anchor = _make_anchor(after.content)
            token.attrSet("id", f"{anchor}-{anchors[anchor]}" if anchors[anchor] else anchor)
            anchors[anchor] += 1
            title = after.content if token.tag == "h1" else title
        elif token.type == "th_open" and not after.content:
            token.tag = last.tag = "td"  # the empty corner of a table is no header
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "table_open":
            token.attrSet("tabindex", "0")  # it scrolls on a phone
    for child in (one for token in tokens for one in token.children or ()):
        if child.type == "link_open" and not _is_shown(str(child.attrGet("href"))):
            child.attrs.pop("href")
    return title, markdown.renderer.render(tokens, markdown.options, {})


def _is_shown(link: str) -> bool:
    """Return True if a link leads to a place of this page, to another page, to OpenAPI, or to another site."""
    page = re.fullmatch(r"([\w-]+)\.md(#.*)?", link)
    if page:
        return page[1] in _read_pages()
    return link == OPENAPI or link.startswith(("#", "https:", "http:"))


def _make_anchor(heading: str) -> str:
    """Return the anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
