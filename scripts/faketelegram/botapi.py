"""The methods and the download, answered from the world in the Bot API's own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from faketelegram.accounts import Account, File, Photo
from faketelegram.bot_settings import (
    delete_webhook,
    get_my_commands,
    get_webhook_info,
    set_chat_menu_button,
    set_my_commands,
    set_webhook,
)
from faketelegram.messages import describe_bot, get_updates, send_chat_action, send_message, send_photo
from faketelegram.params import Params, leading_number
from faketelegram.replies import NOT_FOUND, OCTETS, UNKNOWN_METHOD, BadRequestError, Reply, failure, result
from faketelegram.world import World

DOWNLOAD = "download"
ABILITIES = (
    "can_read_all_group_messages",
    "supports_inline_queries",
    "can_connect_to_business",
    "has_main_web_app",
    "has_topics_enabled",
)
MAX_DOWNLOAD = 20 * 1024 * 1024  # bytes, as at Telegram


@dataclass(frozen=True)
class Call:
    """One call: a method by its proper name, or a download with its file_path."""

    method: str
    params: Params

    def find_subject(self, world: World) -> tuple[int | None, str | None]:
        """The user and the file that the call names, None for each that it does not name."""
        if self.method in ("getFile", DOWNLOAD):
            is_download = self.method == DOWNLOAD
            look_up = world.files.at if is_download else world.files.find
            file = look_up(self.params.get("file_path" if is_download else "file_id", ""))
            return (file.owner, file.file_id) if file else (None, self.params.get("file_id"))
        asked = leading_number(self.params.get("user_id" if self.method == "getUserProfilePhotos" else "chat_id", ""))
        return asked or None, None


def answer(world: World, call: Call) -> Reply:
    if call.method == DOWNLOAD:
        return download(world, call.params)
    method = METHODS.get(call.method)
    try:
        return method(world, call.params) if method else UNKNOWN_METHOD
    except BadRequestError as error:
        return failure(400, f"Bad Request: {error}")


def get_me(world: World, _: Params) -> Reply:
    return result({**describe_bot(world), "can_join_groups": True, **dict.fromkeys(ABILITIES, False)})


def get_user_profile_photos(world: World, params: Params) -> Reply:
    user_id = leading_number(params.get("user_id", ""))
    if user_id <= 0:
        return failure(400, "Bad Request: invalid user_id specified")
    account = world.find(user_id)
    if account is None:
        return failure(400, "Bad Request: user not found")
    if account.deactivated:
        return failure(403, "Forbidden: user is deactivated")
    offset = max(0, leading_number(params.get("offset", "")))
    limit = min(100, max(1, leading_number(params.get("limit") or "100")))
    listed = account.listed
    page = listed[offset : offset + limit]
    return result({"total_count": len(listed), "photos": [[_size(file) for file in one.profile] for one in page]})


def get_chat(world: World, params: Params) -> Reply:
    chat_id = params.get("chat_id", "")
    if not chat_id:
        return failure(400, "Bad Request: chat_id is empty")
    account = world.chat_named(chat_id[1:]) if chat_id.startswith("@") else world.find(leading_number(chat_id))
    if account is None:
        return failure(400, "Bad Request: chat not found")
    if account.deactivated:
        return failure(403, "Forbidden: user is deactivated")
    return result(_chat(account))


def get_file(world: World, params: Params) -> Reply:
    file_id = params.get("file_id", "")
    if not file_id:
        return failure(400, "Bad Request: file_id not specified")
    file = world.files.find(file_id)
    if file is None:
        return failure(400, "Bad Request: invalid file_id")
    size = len(file.read())
    if size > MAX_DOWNLOAD:
        return failure(400, "Bad Request: file is too big")
    return result({**_named(file), "file_size": size, "file_path": world.files.path_of(file)})


def download(world: World, params: Params) -> Reply:
    file = world.files.at(params["file_path"])
    return Reply(200, file.read(), OCTETS) if file else NOT_FOUND


METHODS: Mapping[str, Callable[[World, Params], Reply]] = {
    "getMe": get_me,
    "getUserProfilePhotos": get_user_profile_photos,
    "getChat": get_chat,
    "getFile": get_file,
    "getUpdates": get_updates,
    "sendMessage": send_message,
    "sendPhoto": send_photo,
    "sendChatAction": send_chat_action,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "setChatMenuButton": set_chat_menu_button,
}
_PROPER_NAMES = {name.lower(): name for name in METHODS}


def proper_name(method: str) -> str:
    """The method in Telegram's spelling: names are case-insensitive. An unknown one stays as it is."""
    return _PROPER_NAMES.get(method.lower(), method)


def _named(file: File) -> dict[str, object]:
    return {"file_id": file.file_id, "file_unique_id": file.file_unique_id}


def _size(file: File) -> dict[str, object]:
    return {**_named(file), "file_size": len(file.read()), "width": file.width, "height": file.width}


def _chat(account: Account) -> dict[str, object]:
    names = ("title", "first_name", "last_name", "username")
    said: dict[str, object] = {"id": account.id, "type": account.kind}
    said |= {name: getattr(account, name) for name in names if getattr(account, name)}
    if account.username:
        said["active_usernames"] = [account.username]
    kinds = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    said |= {"accepted_gift_types": dict.fromkeys(kinds, account.id > 0)}
    said |= {"max_reaction_count": 11, "accent_color_id": abs(account.id) % 7}
    photo = account.shown
    return said | ({"photo": _chat_photo(photo)} if photo else {})


def _chat_photo(photo: Photo) -> dict[str, object]:
    small, big = photo.chat
    return {
        "small_file_id": small.file_id,
        "small_file_unique_id": small.file_unique_id,
        "big_file_id": big.file_id,
        "big_file_unique_id": big.file_unique_id,
    }
