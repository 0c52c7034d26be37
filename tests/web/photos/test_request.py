"""Parsing a photo URL: valid requests are remembered, refused ones are not."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from tests.conftest import SIGNING_KEY
from warmer.keys import Subject
from warmer.photo_urls import PhotoUrls, sign
from web.photos.request import REMEMBERED_CHARACTERS, PhotoRequest, PhotoRequestParser, rank_formats
from web.problems import Problem

FILE_ID = "AgACAgIAAxkBAAIBcGa_one-0"
PATH = f"/api/photos/file/{FILE_ID}"
SIG = sign(SIGNING_KEY, f"file:{FILE_ID}")


@pytest.fixture
def request_parser() -> PhotoRequestParser:
    return PhotoRequestParser(PhotoUrls([SecretStr(SIGNING_KEY)], "", [80, 160, 320]), ["webp", "jpeg"])


def test_a_url_is_parsed_into_subject_size_and_formats(request_parser: PhotoRequestParser) -> None:
    assert request_parser.read(PATH, f"size=80&sig={SIG}", "image/webp") == PhotoRequest(
        "file", Subject(FILE_ID), 80, ("webp",)
    )
    path, sig = "/api/photos/user/-42", sign(SIGNING_KEY, "user:-42")
    assert request_parser.read(path, f"sig={sig}", "") == PhotoRequest("user", Subject.of_person(-42), 160, ("jpeg",))


def test_the_same_url_is_parsed_once(request_parser: PhotoRequestParser, monkeypatch: pytest.MonkeyPatch) -> None:
    first = request_parser.read(PATH, f"sig={SIG}", "")
    monkeypatch.setattr(request_parser.urls, "verify", lambda *_: pytest.fail("verified again"))
    assert request_parser.read(PATH, f"sig={SIG}", "") is first


def test_a_long_url_is_parsed_each_time_to_bound_the_memory(request_parser: PhotoRequestParser) -> None:
    query = f"sig={SIG}&x={'x' * REMEMBERED_CHARACTERS}"
    assert request_parser.read(PATH, query, "") == request_parser.read(PATH, query, "")
    assert request_parser.read(PATH, query, "") is not request_parser.read(PATH, query, "")


@pytest.mark.parametrize("query", ["", "sig=", "sig=x", f"sig={SIG[:-1]}", f"sig=x&sig={SIG}"])
def test_a_refused_url_is_refused_each_time(request_parser: PhotoRequestParser, query: str) -> None:
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            request_parser.read(PATH, query, "")
        assert refused.value.code == 403


BOTH = ("webp", "jpeg")
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = "image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,image/*;q=0.8,*/*;q=0.5"
OLD_SAFARI = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


def rank(header: str | None, *formats: str) -> list[str]:
    return rank_formats(parse_accept_header(header, MIMEAccept), formats or BOTH)


@pytest.mark.parametrize(
    "header",
    [None, "", "*/*", "image/*", "image/*, */*", "*/*;q=0.1", "image/*;q=0.5, */*;q=0.1", OLD_SAFARI, "text/html, */*"],
)
@pytest.mark.parametrize("formats", [("webp", "jpeg"), ("avif", "webp", "jpeg"), ("jpeg", "webp"), ("jpeg",)])
def test_a_client_that_names_no_format_gets_jpeg(header: str | None, formats: tuple[str, ...]) -> None:
    assert rank(header, *formats) == ["jpeg"]


@pytest.mark.parametrize(
    ("header", "formats"),
    [
        ("image/webp", ["webp"]),
        ("IMAGE/WEBP", ["webp"]),
        ("image/jpeg", ["jpeg"]),
        ("IMAGE/JPEG", ["jpeg"]),
        ("image/jpeg, image/webp;q=0.9", ["jpeg"]),
        ("image/webp;q=0.8, image/jpeg;q=0.81", ["jpeg"]),
        ("image/webp;q=0.81, image/*;q=0.8", ["webp"]),
        ("image/webp;q=0, */*", ["jpeg"]),
        ("image/webp;q=0, image/*;q=0.1", ["jpeg"]),
        ("image/webp;q=0.5, */*", ["jpeg"]),
        ("image/webp;q=0.5, image/jpeg;q=0, */*", ["webp"]),
        ("text/html, image/jpeg;q=0.001", ["jpeg"]),
        (SAFARI, ["webp"]),
    ],
)
def test_the_highest_q_wins(header: str, formats: list[str]) -> None:
    assert rank(header) == formats


@pytest.mark.parametrize(
    "header", ["image/webp, image/jpeg", "image/jpeg, image/webp", "image/webp, */*", "image/webp;q=0.5, */*;q=0.5"]
)
def test_at_equal_q_a_named_format_comes_before_jpeg_whatever_the_order(header: str) -> None:
    assert rank(header) == rank(header, "jpeg", "webp") == ["webp"]


def test_at_equal_q_named_formats_keep_the_order_of_the_setting() -> None:
    assert rank(CHROME, "avif", "webp", "jpeg") == rank(SAFARI, "avif", "jpeg", "webp") == ["avif", "webp"]
    assert rank(SAFARI, "webp", "avif", "jpeg") == ["webp", "avif"]
    assert rank("image/avif;q=0.9, image/webp", "avif", "webp", "jpeg") == ["webp"]


@pytest.mark.parametrize(
    "header", ["image/webp;q=0.9, image/jpeg;q=0.8, */*", "image/webp;q=0.5, image/jpeg;q=0, image/*"]
)
def test_a_format_that_the_client_does_not_name_takes_no_part(header: str) -> None:
    assert rank(header, "avif", "webp", "jpeg") == rank(header, "webp", "avif", "jpeg") == ["webp"]


@pytest.mark.parametrize(
    "header",
    [
        "text/html", "image/png", "image/webp;q=0", "image/webp;q=0, image/jpeg;q=0", "*/*;q=0", "image/*;q=0",
        "nonsense", ",;=",
    ],
)  # fmt: skip
def test_a_client_that_accepts_no_format_gets_jpeg(header: str) -> None:
    assert rank(header) == ["jpeg"]


@pytest.mark.parametrize("q", ["nan", "inf", "1e9", "-1", "x", "1.5", ""])
def test_a_malformed_q_is_harmless(q: str) -> None:
    assert rank(f"image/jpeg;q={q}, image/webp;q=0.5")[0] in BOTH


@pytest.mark.parametrize("header", [None, "*/*", "image/*", "image/jpeg", "text/html", "image/webp;q=0"])
def test_without_jpeg_the_first_format_takes_its_place(header: str | None) -> None:
    assert rank(header, "webp") == rank(header, "webp", "avif") == ["webp"]


def test_without_jpeg_the_first_format_may_be_named_like_the_others() -> None:
    assert rank(CHROME, "webp", "avif") == ["webp", "avif"]
    assert rank("image/avif, image/*", "webp", "avif") == ["avif"]
    assert rank("image/avif;q=0.9, image/*", "webp", "avif") == ["webp"]


@pytest.mark.parametrize("header", [None, "image/jpeg", "text/html", CHROME])
def test_a_single_format_is_always_chosen(header: str | None) -> None:
    assert rank(header, "jpeg") == ["jpeg"]
