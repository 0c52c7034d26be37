"""The methods by which the owner of a bot sets it up: webhook, commands, menu button."""

import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

from faketelegram.accounts import Webhook
from faketelegram.params import Params, leading_number, read_allowed_updates, read_json
from faketelegram.replies import BadRequestError, Reply, result
from faketelegram.world import World

SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]*")
MAX_SECRET_TOKEN, MAX_COMMANDS = 256, 100
COMMAND = re.compile(r"/?([a-z0-9_]{1,32})")
SCOPES = (
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
)


def set_webhook(world: World, params: Params) -> Reply:
    """Set it, or delete it with an empty URL. The fake delivers nothing to it: updates stay pending."""
    wanted = _read_webhook(params)
    before, world.webhook = world.webhook, wanted
    if (allowed := read_allowed_updates(params)) is not None:
        world.updates.allow(allowed)
    dropped = params.get("drop_pending_updates", "").lower() == "true"
    if dropped:
        world.updates.clear()
    if before == wanted and not dropped:
        return result(True, "Webhook is already set" if wanted.url else "Webhook is already deleted")
    if wanted.url:
        world.updates.wake()
        return result(True, "Webhook was set")
    return result(True, "Webhook was deleted" if before.url else "Webhook is already deleted")


def delete_webhook(world: World, params: Params) -> Reply:
    return set_webhook(world, Params({**params, "url": ""}))


def get_webhook_info(world: World, _: Params) -> Reply:
    webhook = world.webhook
    said = {"url": webhook.url, "has_custom_certificate": False, "pending_update_count": len(world.updates)}
    if webhook.url:
        said |= {"max_connections": webhook.max_connections, "ip_address": "<unknown>"}
    return result({**said, **({"allowed_updates": webhook.allowed_updates} if webhook.allowed_updates else {})})


def set_my_commands(world: World, params: Params) -> Reply:
    commands = read_json(params, "commands", "can't parse commands JSON object")
    if commands is None:
        commands = []
    if not isinstance(commands, list):
        raise BadRequestError("expected an Array of BotCommand")
    if len(commands) > MAX_COMMANDS:
        raise BadRequestError("BOT_COMMANDS_TOO_MUCH")
    world.commands[_read_scope(params)] = [_read_command(command) for command in commands]
    return result(True)


def get_my_commands(world: World, params: Params) -> Reply:
    return result(world.commands.get(_read_scope(params), []))


def set_chat_menu_button(world: World, params: Params) -> Reply:
    """Check the button; the fake shows none, so it keeps none."""
    button = read_json(params, "menu_button", "can't parse menu button JSON object")
    if button is not None:
        if not isinstance(button, dict):
            raise BadRequestError("can't parse menu button: MenuButton must be an Object")
        if button.get("type") not in ("default", "commands", "web_app"):
            raise BadRequestError("can't parse menu button: MenuButton has unsupported type")
    if "chat_id" in params:
        user_id = leading_number(params["chat_id"])
        if user_id <= 0:
            raise BadRequestError("invalid chat_id specified")
        if world.find(user_id) is None:
            raise BadRequestError("user not found")
    return result(True)


def _read_webhook(params: Params) -> Webhook:
    url = params.get("url", "")
    if not url:
        return Webhook()
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if not parts.hostname or " " in url:
        raise BadRequestError("invalid webhook URL specified")
    if parts.scheme != "https":
        raise BadRequestError("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.get("secret_token", "")
    if len(secret) > MAX_SECRET_TOKEN:
        raise BadRequestError("secret token is too long")
    if not SECRET_TOKEN.fullmatch(secret):
        raise BadRequestError("secret token contains unallowed characters")
    webhook = Webhook(url, secret, allowed_updates=read_allowed_updates(params) or [])
    connections = leading_number(params.get("max_connections", ""))
    return replace(webhook, max_connections=min(100, connections)) if connections > 0 else webhook


def _read_command(command: object) -> dict[str, str]:
    if not isinstance(command, dict):
        raise BadRequestError("can't parse BotCommand: expected an Object")
    for name in ("command", "description"):
        if not isinstance(command.get(name), str):
            raise BadRequestError(f"can't parse BotCommand: Can't find field \"{name}\"")
    named = COMMAND.fullmatch(command["command"])
    if named is None:
        raise BadRequestError("BOT_COMMAND_INVALID")
    description = command["description"].strip()
    if not description:
        raise BadRequestError("command description must be non-empty")
    return {"command": named[1], "description": description}


def _read_scope(params: Params) -> tuple[str, str]:
    """The scope in one spelling, and the language."""
    scope = read_json(params, "scope", "can't parse BotCommandScope JSON object")
    if scope is None:
        scope = {"type": "default"}
    if not isinstance(scope, dict):
        raise BadRequestError("can't parse BotCommandScope: BotCommandScope must be an Object")
    if scope.get("type") not in SCOPES:
        raise BadRequestError("can't parse BotCommandScope: Unsupported type specified")
    return json.dumps(scope, sort_keys=True), params.get("language_code", "")
