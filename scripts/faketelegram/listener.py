"""HTTP on a socket: it accepts, reads a request, and lets the answer out. What to answer others know."""

import contextlib
import re
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from faketelegram import control
from faketelegram.botapi import DOWNLOAD, Call, proper_name
from faketelegram.params import UnreadableBodyError, parameters, read_body
from faketelegram.replies import NOT_FOUND, Delivery, Reply, failure
from faketelegram.wire import deliver

if TYPE_CHECKING:
    from faketelegram.server import FakeTelegram

METHOD_PATH = re.compile(r"/bot([^/]*)/([^/]*)")
DOWNLOAD_PATH = re.compile(r"/file/bot([^/]*)/(.+)")
# Before any other answer goes out its call has ended: a client that has read it may start the next one at once, and
# the two must not count as being in flight together.
LONG_FLIGHTS = (Delivery.SLOW_HEADERS, Delivery.SLOW_BODY, Delivery.HANG)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Listener"

    def handle(self) -> None:
        self.fake = self.server.fake
        self._pause(self.fake.connect_latency)
        super().handle()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            body = read_body(self._headers(), self.rfile)
            if path.startswith(control.PREFIX):
                self._send(control.answer(self.fake, self.command, path, body))
            elif self.command == "DELETE":
                self._send(NOT_FOUND)
            elif found := METHOD_PATH.fullmatch(path):
                given = parameters(query, self.headers.get("Content-Type", ""), body)
                self._answer(found[1], Call(proper_name(found[2]), given))
            elif found := DOWNLOAD_PATH.fullmatch(path):
                self._answer(found[1], Call(DOWNLOAD, {"file_path": unquote(found[2])}))
            else:
                self._send(NOT_FOUND)
        except UnreadableBodyError as error:
            self.close_connection = True  # where the next request would start is not known
            self._send(failure(400, f"Bad Request: can't parse the request: {error}"))

    do_POST = do_DELETE = do_GET

    def _answer(self, token: str, call: Call) -> None:
        flight = self.fake.traffic.start(call)
        try:
            reply = self.fake.answer(unquote(token), call)
            if not self._pause(self.fake.latency + reply.delay):
                self.close_connection = True  # stopped meanwhile: an answer before its time would be a false one
                return
            if reply.delivery not in LONG_FLIGHTS:
                flight.land()
            self._send(reply)
        finally:
            flight.land()

    def _send(self, reply: Reply) -> None:
        reusable = deliver(reply, self.connection, self._pause, last=self.close_connection)
        self.close_connection = not reusable
        if reply.delivery is Delivery.RESET:
            # Closed here and for good: the server's own way out would send a FIN first.
            self.rfile.close()
            self.connection.close()

    def _pause(self, seconds: float) -> bool:
        """Wait; False when the fake stops before the time is over."""
        return seconds <= 0 or not self.fake.wait(self.server.stopping, seconds)

    def _headers(self) -> dict[str, str]:
        return {name.title(): value for name, value in self.headers.items()}

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: whoever wants to know asks `calls` and `log`."""


class Listener(ThreadingHTTPServer):
    """A thread for every connection; it knows them all, so that stopping can end those that wait."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, fake: "FakeTelegram") -> None:
        self.fake = fake
        self.stopping = threading.Event()
        self._open: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__((fake.host, fake.port), Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the host's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._changed:
            self._open.add(connection)
        self.fake.traffic.connected()
        return connection, address

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def stop(self, within: float) -> None:
        """Accept nothing more and end every connection; wait at most so many seconds until their threads let go."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.fake.world.updates.wake()
            self._changed.wait_for(lambda: not self._open, within)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that leaves in the middle of an answer is no news; a bug of the fake is.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
