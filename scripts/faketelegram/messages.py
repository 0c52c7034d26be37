"""Messages: people and chats write to the bot; it reads with getUpdates, and answers with sendMessage and sendPhoto."""

import re
import time

from faketelegram import pictures
from faketelegram.accounts import Account, File
from faketelegram.fields import FieldError, UnknownAccountError
from faketelegram.params import Params, leading_number, read_allowed_updates
from faketelegram.replies import BadRequestError, Reply, failure, result
from faketelegram.updates import Update
from faketelegram.world import World

LONGEST_TEXT, LONGEST_CAPTION = 4096, 1024  # UTF-16 units, of which most characters are one
COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(@[A-Za-z0-9_]+)?(?=\s|$)")
NAMES = ("first_name", "last_name", "username")
CHAT_ACTIONS = (
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
)
ANONYMOUS_ADMIN: dict[str, object] = {
    "id": 1087968824,
    "is_bot": True,
    "first_name": "Group",
    "username": "GroupAnonymousBot",
}
UPLOADED = "attach://"  # in front of the name of the part that holds the file


def write(world: World, user_id: int, text: str) -> Update:
    """Let a user write to the bot in private; the update as getUpdates returns it.

    Raises UnknownAccountError or FieldError.
    """
    account = world.find(user_id)
    if account is None:
        raise UnknownAccountError(user_id)
    if account.kind != "private":
        raise FieldError("id", f"only a person can write to the bot in private, not {user_id}")
    if not text or len(text) > LONGEST_TEXT:
        raise FieldError("text", f"must have 1 to {LONGEST_TEXT} characters")
    sender = {"id": user_id, "is_bot": False, **_names(account)}
    return world.updates.add("message", _message(world, sender, account, _text_content(text)))


def announce_photo(world: World, chat_id: int) -> Update:
    """Let the bot see the service message about the current picture of its group or channel, or that it has none.

    Raises UnknownAccountError or FieldError.
    """
    account = world.find(chat_id)
    if account is None:
        raise UnknownAccountError(chat_id)
    if account.kind == "private":
        raise FieldError("id", f"only a group or a channel announces its picture, not {chat_id}")
    sizes = [_photo_size(file) for file in account.shown.chat] if account.shown else []
    content: dict[str, object] = {"new_chat_photo": sizes} if sizes else {"delete_chat_photo": True}
    kind = "channel_post" if account.kind == "channel" else "message"
    return world.updates.add(kind, _message(world, ANONYMOUS_ADMIN, account, content))


def get_updates(world: World, params: Params) -> Reply:
    """Waits `timeout` seconds at most for the first update."""
    if world.webhook.url:
        how = "use deleteWebhook to delete the webhook first"
        return failure(409, f"Conflict: can't use getUpdates method while webhook is active; {how}")
    if (allowed := read_allowed_updates(params)) is not None:
        world.updates.allow(allowed)
    limit = min(100, max(1, leading_number(params.get("limit") or "100")))
    seconds = min(50, max(0, leading_number(params.get("timeout", ""))))
    return result(world.updates.read(leading_number(params.get("offset", "")), limit, seconds))


def send_message(world: World, params: Params) -> Reply:
    account, text = _find_chat(world, params), params.get("text", "")
    if not text.strip():
        raise BadRequestError("message text is empty")
    if len(text) > LONGEST_TEXT:
        raise BadRequestError("message is too long")
    return _send(world, account, _text_content(text))


def send_photo(world: World, params: Params) -> Reply:
    """Send a file id, or an upload, which gets a file id. The message names one size; nothing is fetched by URL."""
    given = params.get("photo", "")
    upload = params.uploads.get(given.removeprefix(UPLOADED) if given.startswith(UPLOADED) else "photo")
    if upload is None and not given:
        raise BadRequestError("there is no photo in the request")
    account, caption = _find_chat(world, params), params.get("caption", "")
    if len(caption) > LONGEST_CAPTION:
        raise BadRequestError("message caption is too long")
    file = _upload(world, upload) if upload is not None else world.files.find(given)
    if file is None:
        is_url = given.startswith(("http://", "https://"))
        wrong = "wrong remote file identifier specified: Wrong string length"
        raise BadRequestError("failed to get HTTP URL content" if is_url else wrong)
    return _send(world, account, {"photo": [_photo_size(file)], **({"caption": caption} if caption else {})})


def send_chat_action(world: World, params: Params) -> Reply:
    if params.get("action") not in CHAT_ACTIONS:
        raise BadRequestError("wrong parameter action in request")
    account = _find_chat(world, params)
    return failure(403, "Forbidden: user is deactivated") if account.deactivated else result(True)


def describe_bot(world: World) -> dict[str, object]:
    """The bot as a User."""
    return {"id": world.bot_id, "is_bot": True, "first_name": "Fake Bot", "username": "fake_telegram_bot"}


def _find_chat(world: World, params: Params) -> Account:
    account = world.find(leading_number(params.get("chat_id", "")))
    if account is None:
        raise BadRequestError("chat not found")
    return account


def _upload(world: World, data: bytes) -> File | None:
    _measure(data)
    return world.files.find(world.add_file(data))


def _measure(data: bytes) -> tuple[int, int]:
    try:
        return pictures.measure(data)
    except FieldError:
        raise BadRequestError("IMAGE_PROCESS_FAILED") from None


def _photo_size(file: File) -> dict[str, object]:
    data = file.read()
    width, height = _measure(data)
    ids = {"file_id": file.file_id, "file_unique_id": file.file_unique_id}
    return {**ids, "file_size": len(data), "width": width, "height": height}


def _send(world: World, chat: Account, content: dict[str, object]) -> Reply:
    if chat.deactivated:
        return failure(403, "Forbidden: user is deactivated")
    return result(_message(world, describe_bot(world), chat, content))


def _message(world: World, sender: dict[str, object], chat: Account, content: dict[str, object]) -> dict[str, object]:
    titled = {"title": chat.title} if chat.title else {}
    place = {"id": chat.id, "type": chat.kind, **titled, **_names(chat)}
    head = {"message_id": next(world.message_ids), "from": sender, "chat": place, "date": int(time.time())}
    return {**head, **content}


def _text_content(text: str) -> dict[str, object]:
    command = COMMAND.match(text)
    marks = [{"type": "bot_command", "offset": 0, "length": len(command[0])}] if command else []
    return {"text": text, **({"entities": marks} if marks else {})}


def _names(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in NAMES if getattr(account, name)}
