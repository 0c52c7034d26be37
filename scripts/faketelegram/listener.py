"""HTTP on a socket: accepts connections, reads requests, sends answers. The backend decides what to answer."""

import re
import socket
import socketserver
import sys
import threading
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from werkzeug.exceptions import HTTPException

from faketelegram import control
from faketelegram.backend import Backend
from faketelegram.botapi import DOWNLOAD, Call, proper_name
from faketelegram.params import Params, Request
from faketelegram.replies import NOT_FOUND, Delivery, Reply, failure
from faketelegram.wire import deliver

METHOD_PATH = re.compile(r"/bot([^/]*)/([^/]*)")
DOWNLOAD_PATH = re.compile(r"/file/bot([^/]*)/(.+)")
# Every other call ends before its answer is sent: a client that has read the answer may start the next call at once,
# and the two must not count as in flight together.
IN_FLIGHT_WHILE_SENT = (Delivery.SLOW_HEADERS, Delivery.SLOW_BODY, Delivery.HANG)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Listener"

    def handle(self) -> None:
        self.backend = self.server.backend
        self._pause(self.backend.connect_latency)
        super().handle()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            request = Request(self)
            if path.startswith(control.PREFIX):
                self._send(control.answer(self.backend, self.command, path, request.data))
            elif self.command == "DELETE":
                self._send(NOT_FOUND)
            elif found := METHOD_PATH.fullmatch(path):
                self._answer(found[1], Call(proper_name(found[2]), request.read_params()))
            elif found := DOWNLOAD_PATH.fullmatch(path):
                self._answer(found[1], Call(DOWNLOAD, Params({"file_path": unquote(found[2])})))
            else:
                self._send(NOT_FOUND)
        except HTTPException as error:
            self.close_connection = True  # the start of the next request is unknown
            self._send(failure(400, f"Bad Request: can't parse the request: {error.description}"))

    do_POST = do_DELETE = do_GET

    def _answer(self, token: str, call: Call) -> None:
        with ExitStack() as ongoing:
            ongoing.enter_context(self.backend.traffic.counting(call))
            reply = self.backend.answer(unquote(token), call)
            if not self._pause(self.backend.latency + reply.delay):
                self.close_connection = True  # stopped meanwhile: an answer before its time would be wrong
                return
            if reply.delivery not in IN_FLIGHT_WHILE_SENT:
                ongoing.close()
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        reusable = deliver(reply, self.connection, self._pause, last=self.close_connection)
        self.close_connection = not reusable
        if reply.delivery is Delivery.RESET:
            # Close it here: the server would send a FIN first.
            self.rfile.close()
            self.connection.close()

    def _pause(self, seconds: float) -> bool:
        """Wait. Returns False if the fake stops before the time is over."""
        return seconds <= 0 or not self.backend.wait(self.server.stopping, seconds)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `calls` and `log` hold every request."""


class Listener(ThreadingHTTPServer):
    """One thread per connection. It keeps the open connections, so that stop() can end those that wait."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, backend: Backend, host: str, port: int) -> None:
        self.backend = backend
        self.stopping = threading.Event()
        self._open: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), Handler)

    def server_bind(self) -> None:
        # HTTPServer.server_bind resolves the host's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._changed:
            self._open.add(connection)
        self.backend.traffic.count_connection()
        return connection, address

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def stop(self, seconds: float) -> None:
        """Accept nothing more and end every connection; wait at most that many seconds for their threads."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.backend.world.updates.wake()
            self._changed.wait_for(lambda: not self._open, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client may leave in the middle of an answer; anything else is a bug of the fake.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
