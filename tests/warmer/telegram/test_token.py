"""BotApi never reveals the bot token."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import warmer
from faketelegram import TEST_TOKEN, FakeTelegram
from tests.warmer.telegram.conftest import add_file, open_api
from warmer.deadline import Deadline
from warmer.errors import UpstreamFailed, WarmerError
from warmer.telegram.client import BotApi


def list_context(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and its causes."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


OURS = str(Path(warmer.__file__).parent)
CUT = ("slow-headers", "slow-body", "hang")  # these calls end at their deadline, all others before it


def show_all(error: BaseException) -> str:
    """Returns all that a log, a debugger or a task monitor could show of an error, with locals of our frames."""
    shown = [part for one in list_context(error) for part in (str(one), repr(one), repr(one.args), repr(vars(one)))]
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    locals_of_ours = [repr(frame.locals) for frame in told.stack if frame.filename.startswith(OURS)]
    return "\n".join([*shown, *locals_of_ours, *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "fault",
    [
        "connection-reset", "truncated-body", "slow-headers", "slow-body", "hang", "redirect", "bad-gateway",
        "unauthorized", "not-found", "too-many-requests", "oversize", "oversize-chunked", "temporarily-unavailable",
        "internal-error",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["getMe", "download"])
def test_no_failure_reveals_the_token(
    api: BotApi, telegram: FakeTelegram, caplog: pytest.LogCaptureFixture, method: str, fault: str
) -> None:
    path = api.get_file(add_file(telegram, bytes(1000)), Deadline(60))
    options: dict[str, Any] = {"location": f"{telegram.url}/bot{TEST_TOKEN}/x"} if fault == "redirect" else {}
    telegram.fail(method, fault, times=2, **options)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "urllib3")
    deadline = Deadline(0.2 if fault in CUT else 60)
    with pytest.raises(WarmerError) as caught:
        api.get_me(deadline) if method == "getMe" else api.download(path, deadline)
    assert TEST_TOKEN not in show_all(caught.value) + caplog.text
    assert all(isinstance(one, WarmerError) for one in list_context(caught.value))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"])
def test_no_failure_to_connect_reveals_the_token(url: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        open_api(url).get_me(Deadline(60))
    assert TEST_TOKEN not in show_all(caught.value)


def test_plain_http_where_tls_is_expected_does_not_reveal_the_token(telegram: FakeTelegram) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        open_api(telegram.url.replace("http:", "https:")).get_me(Deadline(60))
    assert TEST_TOKEN not in show_all(caught.value)


def test_the_repr_of_the_client_does_not_reveal_the_token(api: BotApi) -> None:
    assert TEST_TOKEN not in repr(api) + repr(vars(api))
