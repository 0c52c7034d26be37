"""Lets thumbor load pictures from Telegram: the "URL" is a file id; getFile and download use thumbor's own client."""

from __future__ import annotations

import json
import os
from typing import Any

from thumbor.loaders import http_loader

TOKEN, ROOT = os.environ["TELEGRAM_BOT_TOKEN"], os.environ["TELEGRAM_API_URL"]


async def load(context: Any, file_id: str) -> Any:
    """The original as thumbor's LoaderResult."""
    answer = await http_loader.load(context, f"{ROOT}/bot{TOKEN}/getFile?file_id={file_id}")
    if not answer.successful:
        return answer
    path = json.loads(answer.buffer)["result"]["file_path"]
    return await http_loader.load(context, f"{ROOT}/file/bot{TOKEN}/{path}")
