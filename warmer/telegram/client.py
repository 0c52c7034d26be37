"""BotApi: the one class that speaks to Telegram, and the one that holds the bot token.

The token is part of every URL. So nothing here raises for status, every call is wrapped, and what comes out is our
own error, made of method, status and error class, `from None`: no URL, no response and no exception of a library
leaves this module. Facts: Bot API 10, core.telegram.org/bots/api.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import requests
from pydantic import SecretStr
from requests import Response
from urllib3.exceptions import HTTPError

from warmer.deadline import Deadline
from warmer.errors import (
    DeadlineExceeded,
    NoPhoto,
    NotAFile,
    TemporarilyUnavailable,
    TooBig,
    Unreachable,
    WarmerError,
)
from warmer.keys import DOWNLOAD
from warmer.photo import Bot, FilePath, PhotoSize, SourceImage
from warmer.telegram.connections import Server, open_session
from warmer.telegram.replies import (
    Reply,
    may_be_cut,
    parse_reply,
    read_bot,
    read_chat_photo,
    read_file_size,
    read_profile_photo,
    read_result,
    read_unique_id,
    to_error,
    to_pause,
)
from warmer.telegram.watchdog import Watchdog

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
MAX_PHOTO_BYTES = 10 * 2**20
MAX_ANSWER_BYTES = 2**20
CHUNK_BYTES = 64 * 2**10
FILE_HEAD_BYTES = 512  # of every picture format, they hold a zero byte
SAFE_PATH = re.compile(r"(?!/)(?!.*//)(?!.*\.\.)[A-Za-z0-9_./ -]{1,512}")  # relative, no "..", no scheme

OnCall = Callable[[str, str, float], None]  # method, outcome, seconds


class PathExpired(Unreachable):
    """404 on a download: the path has expired, getFile gives another. If the path is fresh, downloads fail."""


class DownloadUnauthorized(Unreachable):
    """401 on a download: the token is wrong, or downloads fail. getMe tells which."""


class BotApi:
    """Pooled connections, total deadlines, a byte cap; Telegram's errors become ours."""

    def __init__(
        self,
        token: SecretStr,
        server: Server,
        *,
        connections: int,
        on_call: OnCall,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: tells seconds. It measures calls and the time for which connections are idle."""
        self._token = token
        self._clock = clock
        self._api_root, self._file_root = server.roots
        self._on_call = on_call
        self._watchdog = Watchdog()
        self._session = open_session(server, connections, clock)
        # Every call is this one to another URL: preparing one anew takes a third of a call's time.
        self._request = self._session.prepare_request(requests.Request("GET", server.api_url))

    def close(self) -> None:
        """Close the connections, and end the thread that bounds the calls."""
        self._watchdog.close()
        self._session.close()

    def get_me(self, deadline: Deadline) -> Bot:
        """Returns the bot that the token belongs to. Raises TokenRejected if the token is wrong."""
        return read_bot(self._call("getMe", {}, deadline))

    def get_profile_photo(self, user_id: int, deadline: Deadline) -> list[PhotoSize]:
        """Returns the sizes of the newest profile photo.

        Returns an empty list if there is none, it is hidden, or the user is unknown. Only getChat tells these apart.
        """
        try:
            return read_profile_photo(self._call("getUserProfilePhotos", {"user_id": user_id, "limit": 1}, deadline))
        except NoPhoto:
            return []

    def get_chat_photo(self, chat_id: int, deadline: Deadline) -> list[PhotoSize]:
        """Returns the two sizes of a chat's photo, or of a user's *public* one, or an empty list."""
        return read_chat_photo(self._call("getChat", {"chat_id": chat_id}, deadline))

    def get_file(self, file_id: str, deadline: Deadline) -> FilePath:
        """Returns the path where the file can be downloaded for at least an hour. Blocks while Telegram fetches it.

        Raises TemporarilyUnavailable if Telegram returns no path, and Unreachable if the path could lead elsewhere: a
        server that gives such paths gives them for every file.
        """
        answer = self._call("getFile", {"file_id": file_id}, deadline)
        if not (path := answer.get("file_path")):
            raise TemporarilyUnavailable("getFile: no file_path")
        if not isinstance(path, str) or not SAFE_PATH.fullmatch(path):
            raise Unreachable("getFile: an odd file_path")
        unique_id = read_unique_id("getFile", answer.get("file_unique_id", ""))
        return FilePath(path, unique_id, read_file_size(answer.get("file_size")))

    def download(self, path: FilePath, deadline: Deadline) -> SourceImage:
        """Returns a file of at most 10 MiB.

        Raises PathExpired on 404, DownloadUnauthorized on 401, TooBig over the cap, NotAFile for text and for an empty
        body, Unreachable otherwise.
        """
        reply = self._get(DOWNLOAD, f"{self._file_root}/{quote(path.path)}", {}, deadline)
        if reply.status == HTTPStatus.OK:
            if b"\0" not in reply.body[:FILE_HEAD_BYTES]:
                raise NotAFile("download: text instead of a file" if reply.body else "download: an empty file")
            return SourceImage(reply.body, path.unique_id, may_be_cut(reply, path.size))
        if reply.status == HTTPStatus.NOT_FOUND:
            raise PathExpired("download: 404, the path has expired")
        if reply.status == HTTPStatus.UNAUTHORIZED:
            raise DownloadUnauthorized("download: 401 Unauthorized")
        raise Unreachable(f"download: {reply.status}")

    def _call(self, method: str, params: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        reply = self._get(method, f"{self._api_root}/{method}", params, deadline)
        if self._token.get_secret_value().encode() in reply.body:
            raise Unreachable(f"{method}: an answer that repeats the bot token")
        answer = parse_reply(reply.body)
        if reply.status == HTTPStatus.OK and answer.get("ok") is True:
            return read_result(method, answer)
        raise to_error(method, reply.status, answer)

    def _get(self, name: str, template: str, params: dict[str, Any], deadline: Deadline) -> Reply:
        """Make a call, and count it. Raises Paused on 429."""
        started = self._clock()
        outcome = "error"
        try:
            reply = self._exchange(name, template, params, deadline)
            outcome = str(reply.status)
        except WarmerError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._on_call(name, outcome, self._clock() - started)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise to_pause(name, reply)
        return reply

    def _exchange(self, name: str, template: str, params: dict[str, Any], deadline: Deadline) -> Reply:
        left = deadline.require()
        timeout = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
        failure = "an odd end"
        with self._watchdog.guard(deadline) as call:
            try:
                request = self._request.copy()
                request.url = self._url(template, params)
                with self._session.send(request, timeout=timeout, stream=True, allow_redirects=False) as response:
                    body = _read(name, response)
                if not call.was_cut:
                    return Reply.read(response.status_code, body, response.headers)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                failure = type(error).__name__
        if call.was_cut:
            raise DeadlineExceeded(f"{name}: cut at the total deadline") from None
        raise Unreachable(f"{name}: {failure}") from None

    def _url(self, template: str, params: dict[str, Any]) -> str:
        query = f"?{urlencode(params)}" if params else ""
        return template.replace("{token}", self._token.get_secret_value()) + query


def _read(name: str, response: Response) -> bytes:
    """The body as it comes over the wire: what is compressed could grow without bounds.

    urllib3 raises if it is shorter than its Content-Length. One that is too long is the file's fault only if it is a
    file.
    """
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unreachable(f"{name}: an encoding that was not asked for")
    is_file = name == DOWNLOAD and response.status_code == HTTPStatus.OK
    cap = MAX_PHOTO_BYTES if is_file else MAX_ANSWER_BYTES
    too_long = (TooBig if is_file else Unreachable)(f"{name}: more than {cap} bytes")
    if int(response.headers.get("Content-Length") or 0) > cap:
        raise too_long
    body = bytearray()
    while piece := response.raw.read(CHUNK_BYTES, decode_content=False):
        body += piece
        if len(body) > cap:
            raise too_long
    return bytes(body)
