"""Faults as values: each turns the right answer into another one.

A fault is one line in `_ALL`: its name, what it does, the methods it applies to (if none is named: all methods and
downloads), and its options with their defaults.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from faketelegram.botapi import DOWNLOAD, METHODS, Call
from faketelegram.replies import NOT_FOUND, OCTETS, UNAUTHORIZED, Delivery, Reply, failure, too_many
from faketelegram.world import World

Option = float | int | str
Options = Mapping[str, Option]
Change = Callable[[Reply, Options], Reply]

ONLY_FILE = ("getFile",)
ONLY_DOWNLOAD = (DOWNLOAD,)
ONLY_METHODS = tuple(METHODS)
TEN_MIB = 10 * 1024 * 1024

BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
)
PORTAL = b"<!doctype html><title>Welcome</title><p>Please accept our terms to use this network.</p>\n"
ZIP = b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(90)


@dataclass(frozen=True)
class Fault:
    name: str
    what: str
    change: Change
    only: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)
    drops_path: bool = False

    def applies_to(self, method: str) -> bool:
        return not self.only or method in self.only

    def apply(self, reply: Reply, options: Options, call: Call, world: World) -> Reply:
        if self.drops_path and (file := world.files.at(call.params.get("file_path", ""))):
            world.expire_paths(file.file_id)
        return self.change(reply, {**self.options, **options})


def _answers(instead: Reply) -> Change:
    return lambda _reply, _options: instead


def _refuses(code: int, description: str) -> Change:
    return _answers(failure(code, description))


def _delivers(delivery: Delivery) -> Change:
    def change(reply: Reply, options: Options) -> Reply:
        return replace(reply, delivery=delivery, interval=float(options.get("interval", 0)))

    return change


def _names_path(path: str | None) -> Change:
    """getFile's answer with another file_path, or with none; an answer that is an error stays as it is."""

    def change(reply: Reply, _options: Options) -> Reply:
        if reply.status != 200:
            return reply
        said = json.loads(reply.body)
        said["result"].pop("file_path", None)
        if path is not None:
            said["result"]["file_path"] = path
        return replace(reply, body=json.dumps(said).encode())

    return change


def _oversize(delivery: Delivery) -> Change:
    def change(reply: Reply, options: Options) -> Reply:
        # The right answer comes first, so only a limit on the size notices: the JSON parses, the picture decodes.
        filler = b" " if reply.content_type == "application/json" else b"\0"
        return replace(reply, body=reply.body.ljust(int(options["size"]), filler), delivery=delivery)

    return change


def _redirects(_reply: Reply, options: Options) -> Reply:
    return Reply(302, b"", "text/html", headers=(("Location", str(options["location"])),))


_ALL = (
    # The Bot API's own refusals
    Fault("too-many-requests", "429 with retry_after, in seconds", lambda _, o: too_many(int(o["retry_after"])),
          options={"retry_after": 1}),
    Fault("temporarily-unavailable", "400, a passing error",
          _refuses(400, "Bad Request: wrong file_id or the file is temporarily unavailable")),
    Fault("invalid-file-id", "400, permanent", _refuses(400, "Bad Request: invalid file_id")),
    Fault("file-too-big", "400, permanent", _refuses(400, "Bad Request: file is too big")),
    Fault("user-not-found", "400", _refuses(400, "Bad Request: user not found")),
    Fault("chat-not-found", "400", _refuses(400, "Bad Request: chat not found")),
    Fault("user-deactivated", "403", _refuses(403, "Forbidden: user is deactivated")),
    Fault("unauthorized", "401, as for a revoked token", _answers(UNAUTHORIZED)),
    Fault("not-found", "404, as for a malformed token", _answers(NOT_FOUND)),
    Fault("logged-out", "400 `Logged out`, as after logOut", _refuses(400, "Logged out")),
    Fault("unknown-refusal", "400 in words that no client knows", _refuses(400, "Bad Request: STRANGE_NEW_ERROR")),
    Fault("path-expired", "404; the path stays dead until the next getFile", _answers(NOT_FOUND), ONLY_DOWNLOAD,
          drops_path=True),
    Fault("internal-error", "500 with a JSON body", _refuses(500, "Internal Server Error")),
    Fault("bad-gateway", "502 with an HTML body", _answers(Reply(502, BAD_GATEWAY, "text/html"))),
    Fault("blocked", "an HTML page under this status, as a filtering proxy or (200) a captive portal sends it",
          lambda _, o: Reply(int(o["status"]), PORTAL, "text/html"), options={"status": 403}),
    # The wire
    Fault("connection-reset", "TCP reset (RST) instead of an answer", _delivers(Delivery.RESET)),
    Fault("hang", "no answer at all, until the client leaves or the fake stops", _delivers(Delivery.HANG)),
    Fault("late", "the right answer, after some seconds", lambda r, o: replace(r, delay=float(o["seconds"])),
          options={"seconds": 1.0}),
    Fault("slow-headers", "the answer's head byte by byte, one per interval (seconds)",
          _delivers(Delivery.SLOW_HEADERS), options={"interval": 0.1}),
    Fault("slow-body", "the body byte by byte, one per interval (seconds)",
          _delivers(Delivery.SLOW_BODY), options={"interval": 0.1}),
    Fault("truncated-body", "half of the announced Content-Length, then the end", _delivers(Delivery.TRUNCATED)),
    Fault("cut-body", "half of the body without a Content-Length, then the end", _delivers(Delivery.CUT)),
    Fault("odd-headers", "the right answer with a malformed line among its headers",
          lambda r, _: replace(r, headers=(*r.headers, ("X-Odd", "1\r\na line without a colon")))),
    # The content
    Fault("wrong-content-type", "the right body under a wrong type",
          lambda r, o: replace(r, content_type=str(o["content_type"])), options={"content_type": "text/html"}),
    Fault("oversize", "padded to `size` bytes, with a Content-Length", _oversize(Delivery.WHOLE),
          options={"size": TEN_MIB + 1}),
    Fault("oversize-chunked", "padded to `size` bytes, chunked, without a Content-Length", _oversize(Delivery.CHUNKED),
          options={"size": TEN_MIB + 1}),
    Fault("not-an-image", "200 with an archive as the file", _answers(Reply(200, ZIP, OCTETS)), ONLY_DOWNLOAD),
    Fault("not-json", "200 with an HTML page as the answer", _answers(Reply(200, PORTAL, "text/html")), ONLY_METHODS),
    Fault("redirect", "302 to the location", _redirects, options={"location": "http://elsewhere.invalid/"}),
    # getFile's path
    Fault("no-file-path", "200 without file_path", _names_path(None), ONLY_FILE),
    Fault("absolute-file-path", "a path on the server's disk",
          _names_path("/var/lib/telegram-bot-api/photos/file_0.jpg"), ONLY_FILE),
    Fault("dotdot-file-path", "a path that leaves its folder", _names_path("photos/../../../etc/passwd"), ONLY_FILE),
    Fault("scheme-file-path", "a URL as the path", _names_path("http://elsewhere.invalid/file_0.jpg"), ONLY_FILE),
    Fault("double-slash-file-path", "a host as the path", _names_path("//elsewhere.invalid/file_0.jpg"), ONLY_FILE),
    Fault("crlf-file-path", "a path with a line break and a header",
          _names_path("photos/file_0.jpg HTTP/1.1\r\nX-Injected: yes"), ONLY_FILE),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
