"""The OpenAPI document: valid, complete, and right about limits, headers and examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, SecretStr

from tests.support.running import ROOT
from tests.support.web_parts import MakeApp, new_file_id
from warmer.cache_tags import CacheTags
from warmer.formats import FORMATS
from warmer.names import has_controls
from warmer.photo_urls import PhotoUrls, sign
from warmer.state.events import Event
from warmer.webhook.payload import Payloads
from web.api.openapi import DOCUMENT
from web.api.partner_json import PartnerBody
from web.api.partners import LIST_DEFAULT, LIST_MAX, ResolveBody, WarmBody
from web.api.rate_limit import WRONG_KEYS_PER_MINUTE
from web.pages.home import TryBody
from web.photos.exchange import METHODS
from web.photos.request import PREFIXES
from web.photos.response import ABSENT_CACHE, CACHE_CONTROL, HIT, MISS

OLD, NEW = "AgACAgIAAxkBAAIBcGab", "AgACAgIAAxkBAAIBcGac"
Json = dict[str, Any]
WORDS = ("title", "description", "default", "examples")  # fields of a schema that do not limit values


@pytest.fixture
def document(client: FlaskClient) -> Json:
    answer: Any = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    document: Json = answer.json
    return document


def check(value: Any, schema: Json, document: Json) -> None:
    whole = schema | {"components": document["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(value)


def resolve(node: Any, document: Json) -> Any:
    """Returns a schema with its references resolved and without descriptive fields."""
    if isinstance(node, dict) and "$ref" in node:
        *_, kind, name = node["$ref"].split("/")
        return resolve(document["components"][kind][name], document)
    if isinstance(node, dict):
        return {name: resolve(value, document) for name, value in node.items() if name not in WORDS}
    return [resolve(value, document) for value in node] if isinstance(node, list) else node


def walk(node: Any) -> Iterator[Json]:
    """Yields every object in the document."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(value)


def list_examples(node: Json) -> list[Any]:
    """Returns the examples of a parameter, a header, a body or a schema."""
    several = node.get("examples", [])
    values = [one["value"] for one in several.values()] if isinstance(several, dict) else several
    return [*values, *([node["example"]] if "example" in node else [])]


def test_the_document_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["version"] == version("avatar-warmer")


def test_the_document_names_exactly_the_routes(app: Flask, document: Json) -> None:
    """HEAD and OPTIONS exist for every route and are documented only where they do more than usual."""
    routes = {
        (re.sub(r"<[^>]+>", "{}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    routes |= {(f"{prefix}{{}}", method) for prefix in PREFIXES for method in METHODS}
    documented = {
        (re.sub(r"\{[^}]+\}", "{}", path), method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert documented == routes


def test_every_operation_has_a_unique_name_a_summary_and_its_security(document: Json) -> None:
    operations = [node for node in walk(document["paths"]) if "responses" in node]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all("security" in operation and "summary" in operation for operation in operations)


@pytest.mark.parametrize("model", [PartnerBody, WarmBody, ResolveBody, TryBody])
def test_the_limits_of_a_body_are_those_that_the_code_checks(document: Json, model: type[BaseModel]) -> None:
    documented = resolve({"$ref": f"#/components/schemas/{model.__name__}"}, document)
    documented["properties"].get("name", {}).pop("pattern", None)  # checked in code, see below
    assert documented == resolve(model.model_json_schema(), document)


def test_a_name_contains_no_control_character(document: Json) -> None:
    pattern = re.compile(document["components"]["schemas"]["PartnerBody"]["properties"]["name"]["pattern"])
    letters = map(chr, [*range(0xD800), *range(0xE000, 0x10000)])  # a surrogate cannot appear in the document
    assert [one for one in letters if bool(pattern.search(f"a{one}b")) == has_controls(one)] == []


def test_the_limit_of_a_list_is_the_one_that_the_code_checks(document: Json) -> None:
    limit = document["paths"]["/api/partner/recent"]["get"]["parameters"][0]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, LIST_MAX, LIST_DEFAULT)


def test_a_partner_and_a_status_have_the_documented_fields(
    client: FlaskClient, document: Json, as_server: dict[str, str]
) -> None:
    body = {"name": "Ann", "photo_file_id": new_file_id()}
    partner: Any = client.put("/api/partner/42", json=body, headers=as_server).json
    resolved: Any = client.post("/api/photos/resolve", json={"ids": [42]}, headers=as_server).json
    for shown, name in ((partner, "Partner"), (resolved["photos"]["42"], "Status")):
        schema = document["components"]["schemas"][name]
        assert set(shown) == set(schema["required"]) == set(schema["properties"])
        check(shown, schema, document)


@pytest.mark.parametrize(
    "event", [Event("photo.changed", (OLD,), NEW, "0a1b", 1.5), Event("photo.gone", (OLD, NEW), at=2)]
)
def test_an_event_of_the_webhook_has_the_documented_fields(document: Json, event: Event) -> None:
    urls = PhotoUrls([SecretStr("k" * 32)], "https://avatars.example.org", (80, 160))
    said = json.loads(Payloads(urls, CacheTags("ab" * 32)).format(42, event))
    body = document["webhooks"][event.type]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    check(said, schema, document)
    for shown, documented in ((said, schema), (said["data"], schema["properties"]["data"])):
        assert set(shown) == set(documented["required"]) == set(documented["properties"])


def test_the_documented_photo_headers_are_those_that_are_sent(document: Json) -> None:
    headers, answers = document["components"]["headers"], document["components"]["responses"]
    assert headers["CacheOfFile"]["schema"]["const"] == CACHE_CONTROL["file"]
    assert headers["CacheOfUser"]["schema"]["const"] == CACHE_CONTROL["user"]
    assert headers["CacheStatus"]["schema"]["enum"] == [HIT[1], MISS[1]]
    assert answers["NoPhoto"]["headers"]["Cache-Control"]["schema"]["const"] == ABSENT_CACHE
    for name in ("PictureOfFile", "PictureOfUser"):
        assert set(answers[name]["content"]) == {fmt.mime_type for fmt in FORMATS.values()}


@pytest.mark.usefixtures("redis", "telegram")
def test_the_answers_to_a_page_key_are_documented(make_app: MakeApp, document: Json) -> None:
    client, documented = make_app(page_key="k" * 32).test_client(), document["paths"]["/"]["get"]["responses"]
    answers = [client.get(f"/?key={key}") for key in ("k" * 32, *range(WRONG_KEYS_PER_MINUTE + 1))]
    assert [answer.status_code for answer in (answers[0], answers[1], answers[-1])] == [303, 403, 429]
    for answer in answers:
        for name, header in documented[str(answer.status_code)].get("headers", {}).items():
            check(answer.headers[name], resolve(header, document)["schema"], document)


@pytest.mark.parametrize("path", ["/", "/api/partner/me", "/api/photos/user/42"])
def test_a_wrong_method_is_answered_as_documented(client: FlaskClient, document: Json, path: str) -> None:
    documented, answer = document["components"]["responses"]["MethodNotAllowed"], client.patch(path)
    assert (answer.status_code, answer.mimetype) == (405, *documented["content"])
    check(answer.json, documented["content"][answer.mimetype]["schema"], document)
    assert set(documented["headers"]) <= set(answer.headers.keys())


def test_every_example_is_valid(document: Json) -> None:
    found = [(node, example) for node in walk(document) for example in list_examples(node)]
    assert len(found) > 25
    for node, example in found:
        check(example, node.get("schema", node), document)


def test_the_example_signatures_are_those_of_the_worked_example(document: Json) -> None:
    key = re.search(r"key `([^`]+)`", (ROOT / "docs" / "backend.md").read_text("utf-8"))[1]  # type: ignore[index]  # it is there
    parameters = document["components"]["parameters"]
    for kind, subject in (("user", parameters["id"]), ("file", parameters["photo_file_id"])):
        assert parameters[f"sig_of_{kind}"]["example"] == sign(key, f"{kind}:{subject['example']}")


def test_the_document_has_the_address_and_sizes_of_the_deployment(make_app: MakeApp) -> None:
    one = make_app(public_url="https://avatars.example/a", photo_sizes="100,640", photo_formats="webp")
    other = make_app()
    documents: list[Any] = [app.test_client().get("/openapi.json").json for app in (one, other)]
    assert documents[0]["servers"] == [{"url": "https://avatars.example/a"}]
    assert documents[0]["components"]["parameters"]["size"]["schema"]["enum"] == [100, 640]
    OpenAPIV31SpecValidator(documents[0]).validate()
    assert documents[1] == json.loads(DOCUMENT.read_text("utf-8"))
