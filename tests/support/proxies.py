"""The proxies of deploy/ as real processes in front of a service: the shipped files with the test's addresses."""

from __future__ import annotations

import grp
import os
import pwd
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests

from runner.ports import free_loopback_port
from tests.support.programs import find_program
from tests.support.running import REQUEST_SECONDS
from tests.support.waiting import wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NGINX_MAIN = """
daemon off;
user {user} {group};
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/avatar-warmer.conf;
}}
"""


@contextmanager
def running(command: list[str], url: str, **environment: str) -> Iterator[str]:
    """Run a server. Yields its URL once it answers."""

    def answers() -> bool:
        assert server.poll() is None, f"{command[0]} ended"
        try:
            return bool(requests.get(f"{url}/readyz", timeout=REQUEST_SECONDS).status_code)
        except requests.ConnectionError:
            return False

    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(answers)
            yield url
        finally:
            server.terminate()


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Run nginx with the shipped file; its cache is the folder `cache`. Yields the URL."""
    text = (DEPLOY / "nginx" / "avatar-warmer.conf").read_text("utf-8")
    port = free_loopback_port()
    yours = {
        "/var/cache/nginx/avatar-warmer": str(folder / "cache"),
        "server 127.0.0.1:8000": f"server {upstream.removeprefix('http://')}",
        "listen 80;": f"listen 127.0.0.1:{port};",
    }
    for shipped, here in yours.items():
        assert text.count(shipped) == 1
        text = text.replace(shipped, here)
    with _run_nginx(folder, text, port) as url:
        yield url


@contextmanager
def bare_nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Run nginx with a `proxy_pass` and nothing else: it names the upstream's address as Host. Yields the URL."""
    port = free_loopback_port()
    text = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; }} }}"
    with _run_nginx(folder, text, port) as url:
        yield url


@contextmanager
def _run_nginx(folder: Path, text: str, port: int) -> Iterator[str]:
    program = find_program("nginx")
    (folder / "avatar-warmer.conf").write_text(text)
    # A root process would switch to the user nobody, who cannot write to the test's folders.
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    (folder / "nginx.conf").write_text(NGINX_MAIN.format(folder=folder, user=user, group=group))
    command = [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder)]
    with running(command, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def caddy(folder: Path, upstream: str) -> Iterator[str]:
    """Run Caddy with the unchanged shipped file. Yields the URL."""
    program, port = find_program("caddy"), free_loopback_port()
    places = {
        "CADDY_ADMIN": f"unix/{folder}/admin.sock",
        "AVATAR_SITE": f"http://127.0.0.1:{port}",
        "AVATAR_UPSTREAM": upstream.removeprefix("http://"),
        "HOME": str(folder),
    }
    command = [program, "run", "--config", str(DEPLOY / "caddy" / "Caddyfile"), "--adapter", "caddyfile"]
    with running(command, f"http://127.0.0.1:{port}", **places) as url:
        yield url


class Pipe:
    """A TCP connection to the service that can be shut and records its traffic."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.sent = b""  # by the proxy
        self.answers = threading.Event()  # cleared: answers are delayed
        self.answers.set()
        self._is_shut = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._from_proxy: set[socket.socket] = set()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run)  # one thread for all connections
        self._thread.start()

    def shut(self) -> None:
        """Act as if the service were away: connections end, and new ones are closed at once."""
        self._is_shut = True
        for end in list(self._peers):
            with suppress(OSError):  # already closed
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.answers.set()
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        with self._listener, self._woken:
            while self._woken not in (ready := self._list_ready()):
                for one in ready:
                    if one is self._listener:
                        self._accept()
                    elif one in self._peers:  # its peer has not just ended it
                        self._hand_on(one)
            for end in self._peers:
                end.close()

    def _list_ready(self) -> list[socket.socket]:
        ready, _, _ = select.select([self._woken, self._listener, *self._peers], [], [])
        return ready

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._is_shut:
            client.close()
            return
        self.connections += 1
        server = socket.create_connection((self._target.hostname, self._target.port))
        self._peers |= {client: server, server: client}
        self._from_proxy.add(client)

    def _hand_on(self, source: socket.socket) -> None:
        try:
            data = source.recv(65_536)
            if source in self._from_proxy:
                self.sent += data
            else:
                self.answers.wait()
            if data:
                self._peers[source].sendall(data)
                return
        except OSError:  # one of the two is closed
            pass
        for end in (source, self._peers[source]):
            self._from_proxy.discard(end)
            del self._peers[end]
            end.close()
