"""The service under a path of another site: a proxy removes the path, and every link leads back to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.web_parts import MakeApp, new_id, store_picture
from web.wiring import get_web_context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SITE = "https://host.example"
PAGE_KEY = "the-key-of-a-page-for-one-start-only"


class Proxy:
    """Removes /avatars from the path, as a proxy does; any other path is another service's."""

    def __init__(self, inner: WSGIApplication) -> None:
        self.inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        environ["PATH_INFO"] = path.removeprefix("/avatars") if path.startswith("/avatars/") else "/of-another"
        return self.inner(environ, start_response)


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    return make_app(public_url=f"{SITE}/avatars/", page_key=PAGE_KEY)


@pytest.fixture
def proxied(app: Flask) -> FlaskClient:
    app.wsgi_app = Proxy(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does
    return app.test_client()


def test_every_link_of_the_pages_leads_back_to_the_service(proxied: FlaskClient, as_server: dict[str, str]) -> None:
    for page in ("/avatars/", "/avatars/ops"):
        text = proxied.get(page, headers=as_server).get_data(as_text=True)
        links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', text) if not urlsplit(link).scheme]
        assert links
        lost = [link for link in links if proxied.get(urljoin(page, link), headers=as_server).status_code != 200]
        assert lost == []


def test_the_pages_scripts_ask_for_paths_relative_to_the_page(app: Flask) -> None:
    scripts = [path.read_text() for path in Path(str(app.static_folder)).glob("*.js")]
    asked = [path for text in scripts for path in re.findall(r"(?:ask|fetch)\(['`]([^'`]+)", text)]
    assert asked
    assert [path for path in asked if path.startswith("/")] == []


def test_the_printed_url_leads_back_to_the_page_and_its_cookie_belongs_to_the_path(proxied: FlaskClient) -> None:
    answer = proxied.get(f"/avatars/?key={PAGE_KEY}")
    assert (answer.status_code, urljoin("/avatars/", answer.headers["Location"])) == (303, "/avatars/")
    assert "path=" not in answer.headers["Set-Cookie"].lower()  # so it is that of the page (RFC 6265, 5.1.4)


def test_photo_urls_and_the_openapi_document_carry_the_path(
    app: Flask, proxied: FlaskClient, as_server: dict[str, str]
) -> None:
    user_id, file_id = new_id(), store_picture(app)
    get_web_context(app).photos.people.register(user_id, "Ann", file_id)
    partner: Any = proxied.get(f"/avatars/api/partner/{user_id}", headers=as_server).json
    urls = [partner["photo_url"], *(part.split()[0] for part in partner["photo_srcset"].split(", "))]
    assert {url.startswith(f"{SITE}/avatars/api/photos/") for url in urls} == {True}
    assert {proxied.get(url.removeprefix(SITE)).status_code for url in urls} == {200}
    document: Any = proxied.get("/avatars/openapi.json").json
    assert document["servers"] == [{"url": f"{SITE}/avatars"}]
