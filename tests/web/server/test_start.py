"""What gunicorn does before it starts its processes."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.support.running import ROOT
from warmer.settings import Settings


@pytest.mark.parametrize(
    ("host", "public_url", "warnings"),
    [
        ("0.0.0.0", "", 1),
        ("::", "", 1),
        ("127.0.0.1", "", 0),
        ("::1", "", 0),
        ("0.0.0.0", "https://example.org/avatars", 0),
    ],
)
def test_a_missing_public_url_is_told_once_where_others_reach_the_service(
    settings: Settings, caplog: pytest.LogCaptureFixture, host: str, public_url: str, warnings: int
) -> None:
    server: dict[str, Any] = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    server["warn_of_relative_urls"](settings.model_copy(update={"host": host, "public_url": public_url}))
    assert [record.message.partition(" ")[0] for record in caplog.records] == ["PUBLIC_URL"] * warnings
