"""The design that this service grew from, as a small FastAPI app: it fetches pictures inside the request.

`before`: a new HTTP client for every fetch, Pillow on the event loop, no protection against fetching a picture twice.
`after`: one pooled client, a lock per picture with a second look-up inside, Pillow in a thread, and the list's first
four pictures warmed in the background. Both keep a picture for a week in Redis.

    REDIS_URL=redis://127.0.0.1 TELEGRAM_API_URL=http://127.0.0.1:8081 TELEGRAM_BOT_TOKEN=123456789:FAKE \
        uvicorn --app-dir scripts/benches/peers --factory original:after --port 8090 --no-access-log

It needs fastapi, httpx, redis[hiredis], pillow and uvicorn[standard], and the three variables above. The
partners are JSON texts, newest first, in the Redis list `partners`:
{"id": 42, "name": "Ann", "file_id": …}.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from fastapi import FastAPI, HTTPException, Response
from httpx import AsyncClient, HTTPError, Limits
from PIL import Image
from redis.asyncio import Redis

PARTNERS = "partners"  # the Redis list
WEEK = 604_800  # seconds
SIZE = 160  # pixels, square
WARM_FIRST = 4
TIMEOUT = 10  # seconds
log = logging.getLogger("original")


def make_thumbnail(original: bytes) -> bytes:
    """A WebP that fits into the square."""
    with Image.open(io.BytesIO(original)) as image:
        image.thumbnail((SIZE, SIZE))
        out = io.BytesIO()
        image.convert("RGB").save(out, "WEBP", quality=80)
    return out.getvalue()


class Photos(ABC):
    """The source of pictures: Redis, with Telegram behind it."""

    def __init__(self) -> None:
        self.redis = Redis.from_url(os.environ["REDIS_URL"])
        token, root = os.environ["TELEGRAM_BOT_TOKEN"], os.environ["TELEGRAM_API_URL"]
        self.methods, self.files = f"{root}/bot{token}", f"{root}/file/bot{token}"

    @abstractmethod
    async def fetch(self, file_id: str) -> bytes:
        """Fetch, render and store a picture that is not in Redis; its thumbnail."""

    @abstractmethod
    def warm(self, file_ids: list[str]) -> None:
        """Warm these in the background."""

    async def get(self, file_id: str) -> bytes:
        """The thumbnail; raises HTTPError if Telegram gives none."""
        return await self.get_stored(file_id) or await self.fetch(file_id)

    async def get_stored(self, file_id: str) -> bytes | None:
        stored: Any = await self.redis.get(f"photo:{file_id}")  # its type includes text
        return stored or None

    async def store(self, file_id: str, thumbnail: bytes) -> None:
        await self.redis.setex(f"photo:{file_id}", WEEK, thumbnail)

    async def download(self, client: AsyncClient, file_id: str) -> bytes:
        answer = await client.get(f"{self.methods}/getFile", params={"file_id": file_id})
        path = answer.raise_for_status().json()["result"]["file_path"]
        content: bytes = (await client.get(f"{self.files}/{path}")).raise_for_status().content
        return content

    async def close(self) -> None:
        await self.redis.aclose()


class PhotosBefore(Photos):
    """Each request fetches its own picture; nothing is warmed."""

    def warm(self, file_ids: list[str]) -> None:
        pass

    async def fetch(self, file_id: str) -> bytes:
        async with AsyncClient(timeout=TIMEOUT) as client:
            thumbnail = make_thumbnail(await self.download(client, file_id))
        await self.store(file_id, thumbnail)
        return thumbnail


class PhotosAfter(Photos):
    """One fetch per picture, on keep-alive connections."""

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=60)
        self.client = AsyncClient(timeout=TIMEOUT, limits=limits)
        self.locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.warming: set[asyncio.Task[None]] = set()  # the event loop alone keeps no task alive

    async def fetch(self, file_id: str) -> bytes:
        async with self.locks.setdefault(file_id, asyncio.Lock()):
            if stored := await self.get_stored(file_id):
                return stored
            thumbnail = await asyncio.to_thread(make_thumbnail, await self.download(self.client, file_id))
            await self.store(file_id, thumbnail)
            return thumbnail

    def warm(self, file_ids: list[str]) -> None:
        log.info("🔥 Eagerly warming %d priority photos...", len(file_ids))
        for file_id in file_ids:
            task = asyncio.create_task(self._warm(file_id))
            self.warming.add(task)
            task.add_done_callback(self.warming.discard)

    async def _warm(self, file_id: str) -> None:
        try:
            await self.get(file_id)
        except HTTPError as error:
            log.warning("⚠️ Photo not warmed: %s... (%s)", file_id[:20], type(error).__name__)

    async def close(self) -> None:
        await self.client.aclose()
        await super().close()


def before() -> FastAPI:
    """The first design."""
    return create_app(PhotosBefore)


def after() -> FastAPI:
    """The improved design."""
    return create_app(PhotosAfter)


def create_app(make_photos: type[Photos]) -> FastAPI:
    """The two routes; the connections open when the server starts."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines contain the token
    photos: Photos

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal photos
        photos = make_photos()
        yield
        await photos.close()

    async def list_recent(limit: int = 20) -> dict[str, Any]:
        started = time.perf_counter()
        partners = [json.loads(text) for text in await photos.redis.lrange(PARTNERS, 0, limit - 1)]
        photos.warm([partner["file_id"] for partner in partners[:WARM_FIRST]])
        log.info("👥 %d recent partners in %.0fms", len(partners), (time.perf_counter() - started) * 1000)
        return {"partners": [show(partner) for partner in partners]}

    async def send_photo(file_id: str) -> Response:
        started = time.perf_counter()
        try:
            thumbnail = await photos.get(file_id)
        except HTTPError:
            log.warning("⚠️ Photo not found: %s...", file_id[:20])
            raise HTTPException(404, "no photo") from None
        milliseconds = (time.perf_counter() - started) * 1000
        log.info("📸 Photo served for %s... in %.0fms", file_id[:20], milliseconds)
        headers = {"Cache-Control": f"public, max-age={WEEK}", "X-Response-Time": f"{milliseconds:.0f}ms"}
        return Response(thumbnail, media_type="image/webp", headers=headers)

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/recent", list_recent)
    app.add_api_route("/photo/{file_id}", send_photo, response_class=Response)
    return app


def show(partner: dict[str, Any]) -> dict[str, Any]:
    """A partner in the form of the page."""
    return {"id": partner["id"], "name": partner["name"], "photo_url": f"/photo/{partner['file_id']}"}
