"""What a photo URL asks for: read once, refused each time."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.conftest import SIGNING_KEY
from web.photos.request import REMEMBERED_CHARACTERS, Wish, Wishes
from web.photos.urls import PhotoUrls, sign
from web.problems import Problem

FILE_ID = "AgACAgIAAxkBAAIBcGa_one-0"
PATH = f"/api/photos/file/{FILE_ID}"
SIG = sign(SIGNING_KEY, f"file:{FILE_ID}")


@pytest.fixture
def wishes() -> Wishes:
    return Wishes(PhotoUrls([SecretStr(SIGNING_KEY)], "", [80, 160, 320]), ["webp", "jpeg"])


def test_a_url_is_read_into_subject_size_and_formats(wishes: Wishes) -> None:
    assert wishes.read(PATH, f"size=80&sig={SIG}", "image/jpeg") == Wish("file", FILE_ID, 80, ("jpeg",))
    path, sig = "/api/photos/user/-42", sign(SIGNING_KEY, "user:-42")
    assert wishes.read(path, f"sig={sig}", "") == Wish("user", "user:-42", 160, ("webp",))


def test_the_same_url_is_read_once(wishes: Wishes, monkeypatch: pytest.MonkeyPatch) -> None:
    first = wishes.read(PATH, f"sig={SIG}", "")
    monkeypatch.setattr(wishes.urls, "verify", lambda *_: pytest.fail("verified again"))
    assert wishes.read(PATH, f"sig={SIG}", "") is first


def test_a_long_one_is_read_each_time_so_that_none_fills_the_memory(wishes: Wishes) -> None:
    query = f"sig={SIG}&x={'x' * REMEMBERED_CHARACTERS}"
    assert wishes.read(PATH, query, "") == wishes.read(PATH, query, "")
    assert wishes.read(PATH, query, "") is not wishes.read(PATH, query, "")


@pytest.mark.parametrize("query", ["", "sig=", "sig=x", f"sig={SIG[:-1]}", f"sig=x&sig={SIG}"])
def test_what_is_refused_is_refused_each_time(wishes: Wishes, query: str) -> None:
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            wishes.read(PATH, query, "")
        assert refused.value.code == 403
