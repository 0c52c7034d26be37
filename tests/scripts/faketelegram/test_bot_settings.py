"""The webhook and the commands of the bot."""

from __future__ import annotations

import json

from faketelegram import FakeTelegram
from tests.scripts.faketelegram.calling import call


def test_a_webhook_is_set_reported_and_deleted(fake: FakeTelegram) -> None:
    assert call(fake, "getWebhookInfo")["result"] == {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": 0,
    }
    url = "https://example.com/hook"
    said = [call(fake, "setWebhook", url=url, max_connections=7, allowed_updates='["message"]') for _ in range(2)]
    assert [(one["result"], one["description"]) for one in said] == [
        (True, "Webhook was set"),
        (True, "Webhook is already set"),
    ]
    fake.write(42, "hello")
    info = call(fake, "getWebhookInfo")["result"]
    assert (info["url"], info["pending_update_count"]) == (url, 1)
    assert (info["max_connections"], info["allowed_updates"]) == (7, ["message"])
    assert [call(fake, "deleteWebhook")["description"] for _ in range(2)] == [
        "Webhook was deleted",
        "Webhook is already deleted",
    ]


def test_get_updates_conflicts_with_a_webhook(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    call(fake, "setWebhook", url="https://example.com/hook")
    refused = call(fake, "getUpdates")
    assert (refused["error_code"], refused["description"][:9]) == (409, "Conflict:")
    call(fake, "setWebhook", url="")
    assert len(call(fake, "getUpdates")["result"]) == 1


def test_setting_a_webhook_can_drop_pending_updates(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    call(fake, "setWebhook", url="https://example.com/hook", drop_pending_updates="true")
    assert call(fake, "getWebhookInfo")["result"]["pending_update_count"] == 0


def test_commands_are_stored_by_scope_and_language(fake: FakeTelegram) -> None:
    everywhere = [{"command": "start", "description": "Begin"}]
    private = {"type": "all_private_chats"}
    assert call(fake, "setMyCommands", commands=json.dumps(everywhere))["result"] is True
    call(fake, "setMyCommands", commands='[{"command": "/hi", "description": " Hi "}]', scope=json.dumps(private))
    assert call(fake, "getMyCommands")["result"] == everywhere
    assert call(fake, "getMyCommands", language_code="de")["result"] == []
    assert call(fake, "getMyCommands", scope=json.dumps(private))["result"] == [{"command": "hi", "description": "Hi"}]
    call(fake, "setMyCommands", commands="[]")
    assert call(fake, "getMyCommands")["result"] == []
