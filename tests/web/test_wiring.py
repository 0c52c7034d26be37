"""What an app closes."""

from __future__ import annotations

import pytest

from tests.support.redis_kinds import connect_broker
from tests.support.waiting import wait_until
from tests.support.web_parts import MakeApp
from warmer.redis_client.clients import connect_worker
from warmer.settings import load_settings
from warmer.wiring import open_worker_context
from web import close_app
from web.wiring import get_web_context


def list_clients() -> set[str]:
    """Returns the ids of the connections that the broker has."""
    return {client["id"] for client in connect_broker(load_settings()).client_list()}


@pytest.mark.usefixtures("redis")
def test_a_closed_app_has_no_connection_to_the_broker(make_app: MakeApp) -> None:
    app, others = make_app(), list_clients()
    get_web_context(app).photos.publisher.count_waiting("hot")
    opened = list_clients() - others
    assert opened
    close_app(app)
    wait_until(lambda: not opened & list_clients())


@pytest.mark.usefixtures("redis")
def test_a_closed_worker_has_no_connection_to_the_broker() -> None:
    context, others = open_worker_context(load_settings(), connect_worker(load_settings())), list_clients()
    context.publisher.count_waiting("hot")
    opened = list_clients() - others
    assert opened
    context.close()
    wait_until(lambda: not opened & list_clients())
