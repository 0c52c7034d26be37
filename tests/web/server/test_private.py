"""The parts of gunicorn that web/server knows and gunicorn does not promise. This is their only list.

When it fails after an upgrade, read what changed, see whether web/server still fits, and record the version and the
new digests.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import pkgutil

import gunicorn
import pytest

RELIED_UPON = {
    # web/server/gathering.py overrides accept, enqueue_req, handle, handle_request, finish_request, _cap_keepalive,
    # on_client_socket_readable, murder_pending and _keepalive_after; web/server/worker.py load_wsgi, keepalived_conns
    # and wait_for_and_dispatch_events. init_process makes tpool, poller and method_queue, then loads the app. A turn of
    # `run` is: events, murder_keepalived, murder_pending; also while it stops. A BaseException leaves `handle`.
    "gunicorn.workers.gthread:ThreadWorker": "2cde92a57d7b",
    "gunicorn.workers.base:Worker": "41bcd41fbc75",  # load_wsgi sets `wsgi`
    "gunicorn.workers.gthread:TConn": "e3a2878ba952",  # web/server/connection.py adds to it; init, set_timeout, close
    # defer: in the loop, from any thread, in order. web/server/gathering.py overrides close, and knows _write_fd.
    "gunicorn.workers.gthread:PollableMethodQueue": "5b4a78bd3cfb",
    # A thread gets the bytes that the loop has read, and leaves those that it has read ahead.
    "gunicorn.http.parser:Parser": "3a9c06e348c7",
    "gunicorn.http.unreader:Unreader": "84aaa8f91fcd",
    # Where a body ends (web/server/framing.py); it also takes CHUNK_EXT_RE and DEFAULT_MAX_CHUNK_SIZE_LINE from there.
    "gunicorn.http.body:ChunkedReader": "c1aa79e0ae04",
    # What is plain (web/server/plain_request.py) is a part of what these accept.
    "gunicorn.http.message:HeaderPolicy": "84bc24b291e7",
    "gunicorn.http.message:Message": "1998788a8a48",
    "gunicorn.http.message:Request": "5fb06ef65d3b",
    "gunicorn.http.wsgi:create": "2c35d4a2dc62",
    # The loop writes the same bytes (web/server/fast_path.py).
    "gunicorn.http.wsgi:Response": "d67f8e6b29d7",
    "gunicorn.util:http_date": "c67e491c15bd",
    # write_problem takes the place of write_error, and calls write_nonblock.
    "gunicorn.util:write_error": "bd0143a03c15",
    "gunicorn.util:write_nonblock": "d2ff97701c36",
}


def test_this_is_the_gunicorn_that_was_read() -> None:
    assert gunicorn.__version__ == "27.0.1"


@pytest.mark.parametrize("name", RELIED_UPON)
def test_gunicorn_is_as_it_was_read(name: str) -> None:
    module, _, member = name.partition(":")
    source = inspect.getsource(pkgutil.resolve_name(module))  # write_error may have been replaced, here its source is
    [found] = [one for one in ast.parse(source).body if getattr(one, "name", "") == member]
    text = ast.get_source_segment(source, found) or ""
    assert hashlib.sha256(f"{text}\n".encode()).hexdigest()[:12] == RELIED_UPON[name]
