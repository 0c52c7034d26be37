"""A bot that makes whoever writes to it a partner of the avatar service, and forgets them when they ask.

any message    ─► PUT    /api/partner/<id>     the name; the service follows the profile to the picture itself
/forget        ─► DELETE /api/partner/<id>     and the bot confirms it
a group's or channel's photo is changed or deleted
               ─► POST   /api/photos/refresh   the service looks its picture up now
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any
from weakref import WeakValueDictionary

import httpx
from telegram import Update, User
from telegram.ext import Application, CallbackContext, CommandHandler, MessageHandler, filters

TIMEOUT_SECONDS = 5.0
TRIES = 3
LONGEST_PAUSE_SECONDS = 10.0  # however long the service asks for
NAME_MAX = 129  # characters; Telegram's own names are 64 + 1 + 64

Bot = Application[Any, Any, Any, Any, Any, Any]
Context = CallbackContext[Any, Any, Any, Any]
log = logging.getLogger(__name__)


class Avatars:
    """The avatar service. Calls about one id are made in their order. Calls about other ids do not wait for them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # by id, while somebody waits

    async def register(self, user: User) -> None:
        """Raises httpx.HTTPError where it could not be done."""
        await self._call("PUT", f"/api/partner/{user.id}", user.id, json={"name": user.full_name[:NAME_MAX]})

    async def forget(self, user_id: int) -> None:
        """Raises httpx.HTTPError where it could not be done."""
        await self._call("DELETE", f"/api/partner/{user_id}", user_id)

    async def refresh(self, chat_id: int) -> None:
        """Raises httpx.HTTPError where it could not be done."""
        await self._call("POST", "/api/photos/refresh", chat_id, json={"ids": [chat_id]})

    async def _call(self, method: str, path: str, about: int, **options: Any) -> None:
        """Each may be asked twice: a second one changes nothing more. `about`: the user or chat."""
        turn = self.turns.setdefault(about, asyncio.Lock())
        async with turn:  # or a PUT that is tried again would bring back who has been forgotten meanwhile
            for left in reversed(range(TRIES)):
                answer = await self.client.request(method, path, **options)
                if answer.status_code != 503 or not left:
                    break
                await asyncio.sleep(read_pause(answer))
        answer.raise_for_status()


def read_pause(answer: httpx.Response) -> float:
    """Seconds that a 503 asks to wait (RFC 9110, 10.2.3: a number, or a date, which counts as a second here)."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked) if asked.isdecimal() else 1.0, LONGEST_PAUSE_SECONDS)


async def register(update: Update, context: Context) -> None:
    """Register whoever writes. If the service is away, it is only logged: the next message tries again."""
    user, avatars = update.effective_user, context.bot_data["avatars"]
    if user is None or user.is_bot:
        return
    try:
        await avatars.register(user)
    except httpx.HTTPError as error:
        log.warning("User %s is not registered: %s", user.id, type(error).__name__)


async def forget(update: Update, context: Context) -> None:
    """Forget the user, and confirm it only when it is done."""
    user, message, avatars = update.effective_user, update.effective_message, context.bot_data["avatars"]
    if user is None or message is None:
        return
    try:
        await avatars.forget(user.id)
    except httpx.HTTPError as error:
        log.warning("User %s is not forgotten: %s", user.id, type(error).__name__)
        await message.reply_text("That did not work just now. Please send /forget again in a minute.")
    else:
        await message.reply_text("Your name and your picture are forgotten. Write again to come back.")


async def refresh(update: Update, context: Context) -> None:
    """Have the changed picture of a group or channel looked up. A service that is away finds out by itself, later."""
    chat, avatars = update.effective_chat, context.bot_data["avatars"]
    if chat is None:
        return
    try:
        await avatars.refresh(chat.id)
    except httpx.HTTPError as error:
        log.warning("Chat %s is not refreshed: %s", chat.id, type(error).__name__)


def build(token: str, avatars_url: str, api_key: str, api_url: str) -> Bot:
    """The bot, ready to run; a handler never holds up the next update (`block=False`)."""
    headers = {"Authorization": f"Bearer {api_key}"}
    # The service is near: no proxy of the environment may see the key.
    client = httpx.AsyncClient(base_url=avatars_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def close(_: object) -> None:
        await client.aclose()

    builder = Application.builder().token(token).base_url(f"{api_url}/bot").base_file_url(f"{api_url}/file/bot")
    bot: Bot = builder.post_shutdown(close).build()
    bot.bot_data["avatars"] = Avatars(client)
    private = filters.ChatType.PRIVATE
    bot.add_handler(CommandHandler("forget", forget, private, block=False))
    bot.add_handler(MessageHandler(private, register, block=False))
    photo = filters.StatusUpdate.NEW_CHAT_PHOTO | filters.StatusUpdate.DELETE_CHAT_PHOTO
    bot.add_handler(MessageHandler(photo, refresh, block=False))
    return bot


def main() -> None:
    """Poll until Ctrl-C, as the environment says."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes each URL, and Telegram's hold the token
    read = os.environ
    bot = build(
        read["TELEGRAM_BOT_TOKEN"],
        read.get("AVATARS_URL", "http://127.0.0.1:8000"),
        read["AVATAR_API_KEY"],
        read.get("TELEGRAM_API_URL", "https://api.telegram.org"),
    )
    bot.run_polling(allowed_updates=[Update.MESSAGE, Update.CHANNEL_POST])


if __name__ == "__main__":
    main()
