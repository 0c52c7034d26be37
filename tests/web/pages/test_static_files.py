"""The scripts and styles of the pages: their addresses, how long browsers keep them, and parts of them."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from web.pages import static_files
from web.pages.static_files import CACHE_FOR_A_YEAR, CACHE_FOR_MINUTES, NO_STORE


def make_app(folder: Path) -> Flask:
    """An app that serves the files of this folder alone."""
    app = Flask(__name__, static_folder=str(folder), static_url_path="/static")
    static_files.init_app(app)
    return app


def list_named(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(static/[^"]+)"', page)


def test_browsers_keep_the_files_that_the_pages_name_for_a_year(client: FlaskClient, as_server: dict[str, str]) -> None:
    named = [*list_named(client.get("/").text), *list_named(client.get("/ops", headers=as_server).text)]
    assert len(named) == 6
    for name in named:
        answer = client.get(f"/{name}")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, CACHE_FOR_A_YEAR)
        assert answer.mimetype == ("text/css" if name.endswith(".css") else "text/javascript")


def test_browsers_keep_a_plain_name_for_minutes(client: FlaskClient) -> None:
    named = client.get(f"/{list_named(client.get('/').text)[0]}")
    answer = client.get("/static/page.css")
    assert (answer.data, answer.headers["ETag"]) == (named.data, named.headers["ETag"])
    assert answer.headers["Cache-Control"] == CACHE_FOR_MINUTES


def test_nothing_keeps_a_file_that_another_release_sends_for_a_page(tmp_path: Path) -> None:
    """Whichever release sends it: the older one during an upgrade, the newer one during a rollback."""
    clients = {}
    for release in ("old", "new"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "page.js").write_text(release)
        app = make_app(tmp_path / release)
        clients[release] = app.test_client(), f"/{app.jinja_env.globals['static']}/page.js"
    for page, other in (("old", "new"), ("new", "old")):
        address = clients[page][1]
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"Range": "bytes=0-1"}):
            answer = clients[other][0].get(address, headers=headers)
            assert answer.data == other.encode()[: 2 if headers.get("Range") else None]
            assert answer.headers["Cache-Control"] == NO_STORE
        assert clients[page][0].get(address).headers["Cache-Control"] == CACHE_FOR_A_YEAR  # after the roll-out


def test_only_scripts_and_styles_are_served_and_change_the_digest(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("1")
    before = make_app(tmp_path)
    (tmp_path / "folder.js").mkdir()
    beside = ("package.json", "README.md", "LICENSE", "lazy-image.d.ts", "folder.js/index.js")
    for name in (".DS_Store", ".#page.js", ".page.js.swp", "page.js~", "notes.txt", *beside):
        (tmp_path / name).write_text("2")
    after = make_app(tmp_path)
    assert after.jinja_env.globals["static"] == before.jinja_env.globals["static"]
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert [name for name in names if after.test_client().get(f"/static/{name}").status_code == 200] == ["page.js"]


def test_the_npm_package_has_the_version_and_the_licence_of_the_project(client: FlaskClient) -> None:
    folder = Path(str(client.application.static_folder))
    assert json.loads((folder / "package.json").read_text("utf-8"))["version"] == version("avatar-warmer")
    assert (folder / "LICENSE").read_text("utf-8") == (folder.parents[1] / "LICENSE").read_text("utf-8")


def test_the_page_preloads_the_scripts_that_its_script_imports(client: FlaskClient) -> None:
    """Without a preload, the browser would request each script only after the previous one."""
    static = Path(str(client.application.static_folder))
    imported = re.findall(r"^import .*'\./([\w-]+\.js)';$", (static / "page.js").read_text(), re.MULTILINE)
    page = client.get("/").text
    assert sorted(re.findall(r'rel="modulepreload" href="static/\w+/([^"]+)"', page)) == sorted(imported)
    deeper = [name for name in imported if re.search(r"^import ", (static / name).read_text(), re.MULTILINE)]
    assert deeper == []


def test_a_changed_file_has_another_address_and_the_same_files_have_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("1")
    apps = [make_app(tmp_path), make_app(tmp_path)]
    (tmp_path / "page.js").write_text("2")
    apps.append(make_app(tmp_path))
    first, second, changed = (str(app.jinja_env.globals["static"]) for app in apps)
    assert first == second != changed
    assert [app.test_client().get("/static/page.js").text for app in apps] == ["1", "1", "2"]
    etags = [app.test_client().get("/static/page.js").headers["ETag"] for app in apps]
    assert etags[0] == etags[1] != etags[2]


def test_a_process_never_serves_later_files_under_the_address_of_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("1")
    app = make_app(tmp_path)
    (tmp_path / "page.js").write_text("2")
    answer = app.test_client().get(f"/{app.jinja_env.globals['static']}/page.js")
    assert (answer.text, answer.headers["Cache-Control"]) == ("1", CACHE_FOR_A_YEAR)


def test_no_other_path_is_found(client: FlaskClient) -> None:
    digest = str(client.application.jinja_env.globals["static"]).removeprefix("static/")
    paths = ["nothing.js", "x/page.js", "page.js/", "0123456789AB/page.js", f"{digest}/", f"{digest}/x/page.js"]
    paths += [f"{digest}/{digest}/page.js", f"{digest}/../__init__.py", f"{digest}/..%2f__init__.py", digest, "."]
    assert [path for path in paths if client.get(f"/static/{path}").status_code != 404] == []


def test_a_part_of_a_file_can_be_requested(client: FlaskClient) -> None:
    whole = client.get("/static/page.css").data
    for asked, part in (("bytes=0-1", whole[:2]), ("bytes=5-", whole[5:]), ("Bytes=-7", whole[-7:])):
        answer = client.get("/static/page.css", headers={"Range": asked})
        assert (answer.status_code, answer.data) == (206, part)
    assert client.get("/static/page.css", headers={"Range": "bytes=99999999-"}).status_code == 416


@pytest.mark.parametrize("asked", ["items=0-1", "lines=1-2", "x", "", "bytes=0-0,2-3", "bytes=", "bytes=a-b"])
def test_a_range_in_an_unknown_unit_and_several_ranges_are_ignored(client: FlaskClient, asked: str) -> None:
    whole = client.get("/static/page.css")
    answer = client.get("/static/page.css", headers={"Range": asked})
    assert (answer.status_code, answer.data) == (200, whole.data)
