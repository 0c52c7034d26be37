"""A real client library understands the fake."""

from __future__ import annotations

import asyncio
import io

import pytest
import telegram
from PIL import Image

from faketelegram import FakeTelegram


def test_python_telegram_bot_reads_photos_chats_and_files(fake: FakeTelegram) -> None:
    async def read() -> None:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            photos = await bot.get_user_profile_photos(42, limit=1)
            chat = await bot.get_chat(42)
            file = await bot.get_file(photos.photos[0][1].file_id)
            data = bytes(await file.download_as_bytearray())
            assert chat.photo is not None
            big = bytes(await (await chat.photo.get_big_file()).download_as_bytearray())
        assert bot.id == 123456789
        assert (chat.first_name, chat.type) == ("Ann", "private")
        assert (photos.total_count, len(data)) == (1, photos.photos[0][1].file_size)
        assert Image.open(io.BytesIO(big)).size == (640, 640)

    asyncio.run(read())


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_python_telegram_bot_raises_the_expected_errors_for_faults(fake: FakeTelegram) -> None:
    async def read() -> None:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            fake.fail("getFile", "too-many-requests", retry_after=7)
            fake.fail("getFile", "invalid-file-id")
            fake.fail("getFile", "bad-gateway")
            fake.fail("getFile", "connection-reset")
            with pytest.raises(telegram.error.RetryAfter, match="7"):
                await bot.get_file("any")
            with pytest.raises(telegram.error.BadRequest, match="Invalid file_id"):
                await bot.get_file("any")
            for _ in range(2):
                with pytest.raises(telegram.error.NetworkError):
                    await bot.get_file("any")

    asyncio.run(read())
