"""The app against its own OpenAPI document: a few requests per route, the same in every run.

`tests/service/test_schema.py` sends many more to a running service.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from flask import Flask
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from web.api.openapi import DOCUMENT

REQUESTS = {
    "seed": 1,
    "generation": {"deterministic": True, "max-examples": 3},
    "phases": {"coverage": {"enabled": False}},
    "suppress-health-check": ["all"],
}
routes = schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_dict(REQUESTS))


@routes.parametrize()
def test_for_a_backend_every_answer_is_documented(case: Case[Any], app: Flask, as_server: dict[str, str]) -> None:
    case.operation.schema.app = app  # selects requests without a network
    # Without a worker no picture arrives and no process acknowledges a purge: a documented 503 is correct there.
    # In the process, schemathesis decompresses nothing.
    headers = {**as_server, "Accept-Encoding": "identity"}
    case.call_and_validate(app=app, headers=headers, excluded_checks=[not_a_server_error, positive_data_acceptance])
