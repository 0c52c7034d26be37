"""The running service against its own OpenAPI document: every answer to any request is documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network
from itertools import cycle
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from schemathesis import Case, CheckFunction, HookContext
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from faketelegram import TEST_TOKEN, FakeTelegram
from tests.conftest import API_KEY, SIGNING_KEY, wait_until
from tests.support.running import PATIENT, REQUEST_SECONDS, Service, run_service
from tests.support.web_parts import as_user, file_url, user_url
from warmer.photo_urls import sign
from web.api.openapi import DOCUMENT

REQUESTS = {  # the same in every run
    "seed": 1,
    "generation": {"deterministic": True, "max-examples": 15},
    "request-timeout": REQUEST_SECONDS,  # seconds
    "suppress-health-check": ["too_slow"],  # other tests keep the machine busy
}
SHOWN = 5_000_000_042  # a user with a picture
CALLERS = [42, 43, 44, 45, 46]  # each may register only a few times a minute
callers = cycle(CALLERS)
addresses = ip_network("8.0.0.0/8").hosts()

# At import time, since Schemathesis makes one test per operation.
routes = schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_dict(REQUESTS))
guarded = routes.include(path_regex="^/(metrics|try|api/partner/|api/photos/(warm|resolve|refresh)$)")
photos = routes.include(path_regex="^/api/photos/(file|user)/")


@schemathesis.hook
def filter_body(_context: HookContext, body: Any) -> bool:
    """JSON Schema accepts 42.0 as an integer, this API does not."""
    ids = [body.get("id"), body.get("ids")] if isinstance(body, dict) else []
    numbers = [*ids, *(ids[1] if ids and isinstance(ids[1], list) else [])]
    return not any(isinstance(number, float) and number.is_integer() for number in numbers)


@pytest.fixture(scope="module")
def telegram_world() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        for user_id in (SHOWN, *CALLERS):
            fake.world.add_user(user_id, "Ann")
        yield fake


@pytest.fixture(scope="module")
def described(telegram_world: FakeTelegram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its own service, since the random requests would disturb other tests."""
    settings = {
        "TELEGRAM_BOT_TOKEN": TEST_TOKEN,
        "TELEGRAM_API_URL": telegram_world.url,
        "API_KEYS": API_KEY,
        "URL_SIGNING_KEYS": SIGNING_KEY,
        "TELEGRAM_RATE": "1000",
        "PHOTO_WAIT": "0.2",
        **PATIENT,
    }
    with run_service(tmp_path_factory.mktemp("described"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def stored(described: Service, telegram_world: FakeTelegram) -> dict[str, str]:
    """A user and a file whose pictures are stored."""
    file_id = telegram_world.world.file_id(SHOWN, 320)
    for url in (user_url(SHOWN), file_url(file_id)):
        wait_until(partial(described.ask, "GET", url))  # an error answer is falsy
    return {"id": str(SHOWN), "photo_file_id": file_id}


def add_signature(case: Case[Any]) -> None:
    """Add the signature for the id or file id in the path."""
    *_, kind, name = case.formatted_path.split("/")
    case.query["sig"] = sign(SIGNING_KEY, f"{kind}:{unquote(name)}")


def send(case: Case[Any], service: Service, headers: dict[str, str], *excluded: CheckFunction) -> None:
    """Send the request and check the answer.

    A picture may not be ready, or a purge may be acknowledged too late: there a documented 503 is correct. Other 5xx
    answers are never documented.
    """
    may_be_late = case.method == "DELETE" or "sig" in case.query
    late = [not_a_server_error] if may_be_late else []
    # JSON Schema has no notion of a letter as a person sees it.
    refused = [] if re.fullmatch("[A-Za-z]{0,2}", str(case.query.get("initials", ""))) else [positive_data_acceptance]
    # The checks try wrong keys, too, which are limited per address.
    headers = headers | {"X-Forwarded-For": str(next(addresses))}
    case.validate_response(
        case.call(service.url, headers=headers),
        headers=headers,
        excluded_checks=[*late, *refused, *excluded],
        transport_kwargs={"base_url": service.url, "headers": headers},  # of the checks that ask again with a wrong key
    )


@routes.parametrize()
def test_without_a_credential_every_answer_is_documented(case: Case[Any], described: Service) -> None:
    send(case, described, {})


@guarded.parametrize()
def test_for_a_user_every_answer_is_documented(case: Case[Any], described: Service) -> None:
    send(case, described, as_user(next(callers)))


@guarded.parametrize()
def test_for_a_backend_every_answer_is_documented(case: Case[Any], described: Service) -> None:
    send(case, described, described.as_server)


@photos.parametrize()
def test_with_a_good_signature_every_answer_is_documented(case: Case[Any], described: Service) -> None:
    add_signature(case)
    send(case, described, {})


@photos.parametrize()
def test_the_answer_with_a_stored_picture_is_documented(
    case: Case[Any], described: Service, stored: dict[str, str]
) -> None:
    for name in case.path_parameters:
        case.path_parameters[name] = stored[name]
    add_signature(case)
    send(case, described, {}, negative_data_rejection)  # the path is valid now, whatever the generator made of it
    send(case, described, {"If-None-Match": "*"}, negative_data_rejection)
