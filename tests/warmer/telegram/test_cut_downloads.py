"""A download says whether it may have ended early: by its own length, and by the size that getFile named."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from tests.support.servers import OneAnswer
from tests.warmer.telegram.conftest import FILE_ID, PATH, open_api, url_of
from warmer.deadline import Deadline
from warmer.photo import FilePath

BODY = b"\0four"
CLOSED, ANNOUNCED = b"Connection: close\r\n\r\n" + BODY, b"Content-Length: 5\r\n\r\n" + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "size", "may_be_cut"),
    [
        (CLOSED, None, True),
        (CLOSED, 4, False),
        (CLOSED, 5, False),
        *((answer, None, False) for answer in (ANNOUNCED, CHUNKED)),
        *((answer, 6, True) for answer in (CLOSED, ANNOUNCED, CHUNKED)),
    ],
)
def test_a_body_without_a_length_or_shorter_than_its_file_may_be_cut(
    answer: bytes, size: int | None, may_be_cut: bool
) -> None:
    with OneAnswer(b"HTTP/1.1 200 OK\r\n" + answer) as server:
        source = open_api(server.url).download(FilePath(PATH.path, PATH.unique_id, size), Deadline(60))
    assert (source.data, source.may_be_cut) == (BODY, may_be_cut)


ODD: list[Any] = [None, 0, -7, "7", 7.0, True, [], {}]


@pytest.mark.parametrize(("named", "size"), [(7, 7), *((odd, None) for odd in ODD)])
def test_an_odd_size_of_a_file_is_ignored(mocked: responses.RequestsMock, named: Any, size: int | None) -> None:
    result = {"file_id": FILE_ID, "file_unique_id": "u", "file_path": "photos/1.jpg", "file_size": named}
    mocked.get(url_of("getFile"), json={"ok": True, "result": result})
    assert open_api().get_file(FILE_ID, Deadline(60)).size == size
