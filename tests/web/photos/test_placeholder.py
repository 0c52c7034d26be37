"""The placeholder of a missing picture for a plain `<img>`: chosen in the URL, and only in the body."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.web_parts import body_of, file_url, new_file_id, store_picture, store_unavailable
from warmer.errors import InvalidFileId
from web.photos.placeholder import draw
from web.wiring import get_web_context

OWN = ("Content-Type", "Content-Length", "Content-Security-Policy", "X-Request-ID", "X-Response-Time", "Server-Timing")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def absent(app: Flask) -> str:
    return store_unavailable(app, new_file_id(), InvalidFileId("x"))


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize("query", [{"d": "initials", "initials": "AL"}, {"d": "initials"}])
def test_a_placeholder_changes_only_the_body(
    app: Flask, client: FlaskClient, absent: str, query: dict[str, str], status: int
) -> None:
    file_id = absent if status == 404 else new_file_id()
    plain, drawn = client.get(file_url(file_id)), client.get(file_url(file_id, **query))
    assert (plain.status_code, drawn.status_code) == (status, status)
    assert [(name, value) for name, value in drawn.headers if name not in OWN] == [
        (name, value) for name, value in plain.headers if name not in OWN
    ]
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    assert drawn.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert ElementTree.fromstring(drawn.data).attrib["width"] == "160"  # noqa: S314 - our own drawing
    head = client.head(file_url(file_id, **query))
    assert (head.status_code, head.data, head.content_length) == (status, b"", len(drawn.data))


def test_d_404_is_the_default(client: FlaskClient, absent: str) -> None:
    answer = client.get(file_url(absent, d="404", initials="AL"))
    assert (answer.mimetype, answer.data) == ("application/problem+json", client.get(file_url(absent)).data)


@pytest.mark.usefixtures("is_subscribed")
def test_the_placeholder_query_does_not_change_a_stored_picture_or_its_cache_entry(
    app: Flask, client: FlaskClient
) -> None:
    web_context, file_id = get_web_context(app), store_picture(app)
    first = client.get(file_url(file_id))
    size = web_context.photos.cache.bytes
    second = client.get(file_url(file_id, d="initials", initials="AL"))
    assert first.data == second.data == body_of(file_id)
    assert first.headers["ETag"] == second.headers["ETag"]
    assert (web_context.photos.cache.bytes, size > 0) == (size, True)
    known = {"If-None-Match": first.headers["ETag"]}
    assert client.get(file_url(file_id, d="initials"), headers=known).status_code == 304


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("d=mp", "d"), ("d=", "d"), ("d=blank", "d"), ("d=404&d=404", "d"), ("d=Initials", "d"),
        ("initials=ABC", "initials"), ("initials=A&initials=B", "initials"), ("d=initials&initials=%3Ca", "initials"),
        ("initials=A%00", "initials"), ("initials=%FF", "initials"), ("initials=a%20", "initials"),
        ("initials=%26", "initials"), ("initials=%E2%80%AEa", "initials"), ("initials=%CC%81", "initials"),
        ("initials=a" + "%CC%81" * 32, "initials"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_400_and_named(client: FlaskClient, absent: str, query: str, field: str) -> None:
    answer = client.get(f"{file_url(absent)}&{query}")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.get_json()["detail"].startswith(f"{field}: ")


def test_a_bad_signature_is_checked_first_and_has_no_placeholder(client: FlaskClient, absent: str) -> None:
    assert client.get(file_url(absent, d="nonsense", sig="x")).status_code == 403
    assert client.get(file_url(absent, d="initials", sig="x")).mimetype == "application/problem+json"


@pytest.mark.parametrize("initials", ["AL", "é", "e\u0301L", "李", "م\u200cع", "👩‍👩‍👧F", "🇩🇪🇫🇷", "1️⃣", "42"])
def test_two_letters_are_counted_as_graphemes(client: FlaskClient, absent: str, initials: str) -> None:
    answer = client.get(file_url(absent, d="initials", initials=initials))
    text = ElementTree.fromstring(answer.data).find(f"{SVG}text")  # noqa: S314 - our own drawing
    assert text is not None
    assert text.text == initials


@pytest.mark.parametrize(
    ("initials", "size"), [("A", 50), ("AL", 42), ("李", 42), ("🌈R", 31), ("李小", 31), ("🌈🦄", 31)]
)
def test_wide_letters_are_small_enough_for_a_round_frame(initials: str, size: int) -> None:
    text = ElementTree.fromstring(draw(initials, "user:1", 80)).find(f"{SVG}text")  # noqa: S314 - our own drawing
    assert text is not None
    assert text.get("font-size") == str(size)


def test_without_initials_the_placeholder_is_a_silhouette(client: FlaskClient, absent: str) -> None:
    for query in ({"d": "initials"}, {"d": "initials", "initials": ""}):
        answer = client.get(file_url(absent, **query))
        assert [child.tag for child in ElementTree.fromstring(answer.data)] == [  # noqa: S314 - our own drawing
            f"{SVG}rect", f"{SVG}circle", f"{SVG}path",
        ]  # fmt: skip


def test_a_subject_keeps_its_colour_and_subjects_differ() -> None:
    grounds = {draw("AL", f"user:{number}", 80) for number in range(40)}
    assert 6 < len(grounds) <= 12
    assert draw("AL", "user:1", 80) == draw("AL", "user:1", 80)


@pytest.mark.parametrize("initials", ["A<", ""])
def test_a_drawing_is_escaped_and_has_no_styles_or_scripts(initials: str) -> None:
    tree = ElementTree.fromstring(draw(initials, "user:1", 80))  # noqa: S314 - our own drawing
    names = {name for element in tree.iter() for name in element.attrib}
    assert not names & {"style", "class", "href"}
    assert {element.tag.removeprefix(SVG) for element in tree.iter()} <= {"svg", "rect", "text", "circle", "path"}
