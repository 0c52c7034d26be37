"""The pages of the documentation, as the service shows them."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.support.running import ROOT

TEXTS = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = list(TEXTS)


def read(client: FlaskClient, name: str) -> str:
    answer = client.get(f"/docs/{name}.md")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.get_data(as_text=True)


def test_every_page_is_shown_without_a_key_and_without_html_of_its_own(client: FlaskClient) -> None:
    assert "runbook" in PAGES
    for name in PAGES:
        page = read(client, name)
        assert re.findall(r"<(?:script|style|img|iframe)\b", page) == [], name
        assert "<h1 id=" in page, name
        assert " style=" not in page, name
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(set(ids)) == len(ids), name


def test_no_page_shows_a_comment_a_tag_or_a_directive_of_the_site(client: FlaskClient) -> None:
    for name in PAGES:
        body = read(client, name).partition("<main")[2]
        body = re.sub(r"<(code|pre).*?</\1>", "", body, flags=re.DOTALL)
        assert re.findall(r"&lt;(?:!--|img|/)|<!--|\{eval-rst|\{include|toctree|:relative-docs:", body) == [], name


def test_the_changelog_is_the_one_of_the_release(client: FlaskClient) -> None:
    page = read(client, "changelog")
    assert '<h1 id="changelog">' in page
    assert 'href="webhooks.md"' in page
    assert '<a href="changelog.md">the changelog</a>' in read(client, "deployment")


def test_the_page_about_http_leads_to_the_openapi_document_of_the_service(client: FlaskClient) -> None:
    assert '<a href="../openapi.json">' in read(client, "http")
    assert client.get("/openapi.json").status_code == 200


def test_every_link_leads_to_a_section_of_a_page_or_to_another_site(client: FlaskClient) -> None:
    lost = []
    for name in PAGES:
        for link in re.findall(r'<a href="([^"]+)"', read(client, name)):
            page, _, anchor = link.partition("#")
            if link.startswith(("http", "../")):
                continue
            text = read(client, page.removesuffix(".md") or name)
            if anchor and f'id="{anchor}"' not in text:
                lost.append((name, link))
    assert lost == []


def test_every_page_leads_to_every_other_and_back_to_the_service(client: FlaskClient) -> None:
    links = re.findall(r'<a href="([^"]+)"', read(client, "runbook").partition("<main")[0])
    assert sorted(links) == sorted(["../", *(f"{name}.md" for name in PAGES if name != "index")])


@pytest.mark.parametrize("name", ["nothing", "..%2FREADME", "%2e%2e", "runbook.md", "pictures"])
def test_no_other_file_is_shown(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}.md").status_code == 404


def test_the_policy_permits_no_script(client: FlaskClient) -> None:
    policy = client.get("/docs/runbook.md").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
