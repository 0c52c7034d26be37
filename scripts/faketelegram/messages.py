"""Messages: people write to the bot, the bot reads with getUpdates and answers with sendMessage."""

import re
import time

from faketelegram.accounts import Account
from faketelegram.fields import FieldError, NobodyError
from faketelegram.params import Params, leading_number
from faketelegram.replies import Reply, failure, result
from faketelegram.updates import Update
from faketelegram.world import World

LONGEST_TEXT = 4096  # UTF-16 units, of which most characters are one
COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(@[A-Za-z0-9_]+)?(?=\s|$)")
NAMES = ("first_name", "last_name", "username")


def write(world: World, user_id: int, text: str) -> Update:
    """A person writes to the bot, in private; the update as the bot will get it."""
    account = world.find(user_id)
    if account is None:
        raise NobodyError(user_id)
    if account.kind != "private":
        raise FieldError("id", f"only a person can write to the bot in private, not {user_id}")
    if not text or len(text) > LONGEST_TEXT:
        raise FieldError("text", f"must have 1 to {LONGEST_TEXT} characters")
    sender = {"id": user_id, "is_bot": False, **_names(account)}
    return world.updates.add("message", _message(world, sender, account, text))


def get_updates(world: World, params: Params) -> Reply:
    """Waits `timeout` seconds at most for the first one."""
    limit = min(100, max(1, leading_number(params.get("limit") or "100")))
    seconds = min(50, max(0, leading_number(params.get("timeout", ""))))
    return result(world.updates.read(leading_number(params.get("offset", "")), limit, seconds))


def delete_webhook(world: World, params: Params) -> Reply:
    """There is none; client libraries make sure of it before they poll."""
    if params.get("drop_pending_updates", "").lower() == "true":
        world.updates.clear()
    return result(True)


def send_message(world: World, params: Params) -> Reply:
    account, text = world.find(leading_number(params.get("chat_id", ""))), params.get("text", "")
    if account is None:
        return failure(400, "Bad Request: chat not found")
    if not text.strip():
        return failure(400, "Bad Request: message text is empty")
    if len(text) > LONGEST_TEXT:
        return failure(400, "Bad Request: message is too long")
    if account.deactivated:
        return failure(403, "Forbidden: user is deactivated")
    return result(_message(world, describe_bot(world), account, text))


def describe_bot(world: World) -> dict[str, object]:
    """The bot as a User."""
    return {"id": world.bot_id, "is_bot": True, "first_name": "Fake Bot", "username": "fake_telegram_bot"}


def _message(world: World, sender: dict[str, object], chat: Account, text: str) -> dict[str, object]:
    titled = {"title": chat.title} if chat.title else {}
    place = {"id": chat.id, "type": chat.kind, **titled, **_names(chat)}
    command = COMMAND.match(text)
    marks = [{"type": "bot_command", "offset": 0, "length": len(command[0])}] if command else []
    said = {"message_id": next(world.message_ids), "from": sender, "chat": place, "date": int(time.time())}
    return {**said, "text": text, **({"entities": marks} if marks else {})}


def _names(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in NAMES if getattr(account, name)}
