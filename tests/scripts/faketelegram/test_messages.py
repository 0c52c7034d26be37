"""People write to the bot, and the bot answers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import telegram

from faketelegram import FakeTelegram
from faketelegram.accounts import Kind
from tests.scripts.faketelegram.calling import PATIENCE, call, download, get_file, make_png
from tests.support.waiting import wait_until


def test_a_photo_is_sent_by_its_file_id_or_uploaded(fake: FakeTelegram) -> None:
    file_id = fake.world.file_id(42)
    sent = call(fake, "sendPhoto", chat_id=42, photo=file_id, caption="You")["result"]
    assert (sent["chat"]["id"], sent["caption"], sent["photo"][0]["file_id"]) == (42, "You", file_id)
    assert (sent["photo"][0]["width"], sent["photo"][0]["height"]) == (320, 320)
    url, chat = f"{fake.url}/bot{fake.token}/sendPhoto", {"chat_id": "42"}
    for fields, name in ((chat, "photo"), ({**chat, "photo": "attach://one"}, "one")):
        files = {name: ("a.png", make_png(30, 20))}
        [size] = requests.post(url, data=fields, files=files, timeout=PATIENCE).json()["result"]["photo"]
        assert (size["width"], size["height"]) == (30, 20)
        assert download(fake, get_file(fake, size["file_id"])["result"]["file_path"]).content == make_png(30, 20)
    broken = requests.post(url, data=chat, files={"photo": ("a.png", b"no image")}, timeout=PATIENCE).json()
    assert broken["description"] == "Bad Request: IMAGE_PROCESS_FAILED"


def test_python_telegram_bot_sets_up_a_bot_and_sends_a_photo(fake: FakeTelegram) -> None:
    async def use() -> tuple[telegram.WebhookInfo, telegram.Message]:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            await bot.set_webhook("https://example.com/hook", secret_token="s3cret")
            await bot.set_my_commands([telegram.BotCommand("start", "Begin")])
            assert [one.command for one in await bot.get_my_commands()] == ["start"]
            assert await bot.set_chat_menu_button(42, telegram.MenuButtonCommands())
            assert await bot.send_chat_action(42, "upload_photo")
            with pytest.raises(telegram.error.EndPointNotFound):
                await bot.do_api_request("sendNothing")
            return await bot.get_webhook_info(), await bot.send_photo(42, make_png(), caption="Hi")

    info, message = asyncio.run(use())
    assert (info.url, message.caption, message.photo[-1].width) == ("https://example.com/hook", "Hi", 300)


def test_an_update_is_repeated_until_it_is_confirmed(fake: FakeTelegram) -> None:
    fake.write(42, "/start now")
    fake.write(42, "hello")
    first, second = call(fake, "getUpdates")["result"]
    assert call(fake, "getUpdates", limit=1)["result"] == [first]
    assert call(fake, "getUpdates", offset=second["update_id"])["result"] == [second]
    assert call(fake, "getUpdates", offset=second["update_id"] + 1)["result"] == []
    sender = {"id": 42, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "annlee"}
    message = first["message"]
    assert (message["from"], message["text"], message["chat"]["type"]) == (sender, "/start now", "private")
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert "entities" not in second["message"]


def test_a_negative_offset_counts_from_the_end(fake: FakeTelegram) -> None:
    for text in ("one", "two", "three"):
        fake.write(42, text)
    assert [update["message"]["text"] for update in call(fake, "getUpdates", offset=-1)["result"]] == ["three"]
    assert len(call(fake, "getUpdates")["result"]) == 1


def test_get_updates_waits_for_the_first_update_but_not_longer_than_its_timeout(fake: FakeTelegram) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(call, fake, "getUpdates", timeout=50)
        wait_until(lambda: fake.calls["getUpdates"])
        fake.write(42, "hello")
        assert waiting.result(PATIENCE)["result"][0]["message"]["text"] == "hello"
    assert call(fake, "getUpdates", offset=2, timeout=1)["result"] == []


def test_a_client_that_waits_for_updates_does_not_delay_the_stop(fake: FakeTelegram) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(requests.get, f"{fake.url}/bot{fake.token}/getUpdates?timeout=50", timeout=PATIENCE)
        wait_until(lambda: fake.calls["getUpdates"])
        fake.stop()
        assert isinstance(waiting.exception(PATIENCE), requests.RequestException)


def test_deleting_a_webhook_that_does_not_exist_can_drop_pending_updates(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    assert call(fake, "deleteWebhook")["result"] is True
    assert len(call(fake, "getUpdates")["result"]) == 1
    assert call(fake, "deleteWebhook", drop_pending_updates="true")["result"] is True
    assert call(fake, "getUpdates")["result"] == []


def test_sending_a_message_answers_with_that_message(fake: FakeTelegram) -> None:
    message = call(fake, "sendMessage", chat_id=42, text="Hi")["result"]
    assert (message["text"], message["chat"]["id"], message["from"]["is_bot"]) == ("Hi", 42, True)
    assert call(fake, "sendMessage", chat_id=42, text="Hi")["result"]["message_id"] == message["message_id"] + 1


@pytest.mark.parametrize(
    ("chat_id", "text", "code", "description"),
    [
        (43, "Hi", 400, "Bad Request: chat not found"),
        (42, "", 400, "Bad Request: message text is empty"),
        (42, "a" * 4097, 400, "Bad Request: message is too long"),
        (44, "Hi", 403, "Forbidden: user is deactivated"),
    ],
)
def test_a_message_that_cannot_be_sent_gets_an_error(
    fake: FakeTelegram, chat_id: int, text: str, code: int, description: str
) -> None:
    fake.world.add_user(44, "Gone")
    fake.world.deactivate(44)
    answer = call(fake, "sendMessage", chat_id=chat_id, text=text)
    assert (answer["error_code"], answer["description"]) == (code, description)


def test_a_user_can_write_over_http(fake: FakeTelegram) -> None:
    people = f"{fake.url}/_fake/users"
    written = requests.post(f"{people}/42/messages", data="Hé".encode(), timeout=PATIENCE)
    assert (written.status_code, written.json()) == (201, call(fake, "getUpdates")["result"][0])
    assert written.json()["message"]["text"] == "Hé"


@pytest.mark.parametrize(("kind", "field"), [("supergroup", "message"), ("channel", "channel_post")])
def test_a_group_and_a_channel_announce_their_picture(fake: FakeTelegram, kind: Kind, field: str) -> None:
    fake.world.add_chat(-100, "Us", kind=kind)
    fake.announce_photo(-100)
    fake.world.hide_photo(-100)
    requests.post(f"{fake.url}/_fake/users/-100/photo/announcements", timeout=PATIENCE)
    new, gone = [update[field] for update in call(fake, "getUpdates")["result"]]
    assert {size["width"] for size in new["new_chat_photo"]} == {160, 640}
    assert (gone["delete_chat_photo"], gone["chat"]["title"]) == (True, "Us")
    assert "new_chat_photo" not in gone


def test_a_bot_gets_only_the_kinds_of_updates_that_it_asked_for(fake: FakeTelegram) -> None:
    channel = fake.world.add_chat(-1001234567890, "Our channel", kind="channel").id

    def receive(**options: str) -> list[str]:
        """Returns the kinds of two new updates that arrive, asked for before they come."""
        call(fake, "getUpdates", offset=-1, **options)
        confirmed = call(fake, "getUpdates")["result"]
        call(fake, "getUpdates", offset=confirmed[-1]["update_id"] + 1 if confirmed else 0)
        fake.announce_photo(channel)
        fake.write(42, "hello")
        return [kind for update in call(fake, "getUpdates")["result"] for kind in update if kind != "update_id"]

    both = ["channel_post", "message"]
    assert receive() == both
    assert receive(allowed_updates='["message"]') == ["message"]
    assert receive() == ["message"]  # as it was set before
    assert receive(allowed_updates="[]") == both
    assert call(fake, "setWebhook", url="https://example.com/hook", allowed_updates='["channel_post"]')["result"]
    assert call(fake, "deleteWebhook")["result"]
    assert receive() == ["channel_post"]
