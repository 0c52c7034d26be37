"""The pages of the documentation, as the service shows them."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.support.running import ROOT

TEXTS = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = [name for name, text in TEXTS.items() if text.startswith("# ")]  # the others include a file from elsewhere


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


def test_every_link_into_a_page_finds_its_section(client: FlaskClient) -> None:
    lost = []
    for name in PAGES:
        for target, anchor in re.findall(r'href="([\w-]*)(?:\.md)?#([^"]+)"', read(client, name)):
            if f'id="{anchor}"' not in read(client, target or name):
                lost.append((name, target, anchor))
    assert lost == []


@pytest.mark.parametrize("name", ["nothing", "..%2FREADME", "%2e%2e", "runbook.md", "pictures"])
def test_no_other_file_is_shown(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}.md").status_code == 404


def test_the_policy_permits_no_script(client: FlaskClient) -> None:
    policy = client.get("/docs/runbook.md").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
