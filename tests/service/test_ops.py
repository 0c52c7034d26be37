"""The operators' page beside a running service."""

from __future__ import annotations

from typing import Any

import requests

from tests.conftest import wait_until
from tests.support.running import REQUEST_SECONDS, Service
from tests.support.web_parts import warm_picture


def test_the_page_shows_the_activity_of_web_and_workers(service: Service) -> None:
    service.call("GET", warm_picture(service))

    def read_shown() -> Any:
        shown = service.call("GET", "/ops.json").json()
        day = shown["day"]
        return day["hit_rate"] and day["calls"] >= 2 and day["warmings"] and day["due"] is not None and shown

    shown = wait_until(read_shown)
    assert len(shown["now"]["workers"]) == 2
    assert shown["day"]["workers"] in (0, 1, 2)  # a worker may have started after the first sample
    assert (shown["now"]["bot"], shown["redis"], shown["broker"]) == ("ok", "ok", "ok")


def test_the_printed_url_opens_the_pages_for_operators_and_the_address_of_this_machine_does_not(
    service: Service,
) -> None:
    with requests.Session() as browser:
        browser.get(service.page, timeout=REQUEST_SECONDS)
        for path in ("/ops", "/ops.json"):
            assert browser.get(service.url + path, timeout=REQUEST_SECONDS).status_code == 200
    for path in ("/ops", "/ops.json"):
        assert requests.get(service.url + path, timeout=REQUEST_SECONDS).status_code == 401
    assert requests.post(f"{service.url}/try", json={"id": 42}, timeout=REQUEST_SECONDS).status_code == 401
