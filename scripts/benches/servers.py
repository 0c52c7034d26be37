"""The servers of the part `hits`, one process each, on the first core."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests
from redis import Redis

from benches import peers_env, tools
from benches.avatars import Avatar
from benches.clients import ACCEPT
from benches.rivals import AFTER, PEERS, THUMBOR
from benches.service import FORMAT, SIZE
from benches.testbed import Cores, Testbed, wait_for
from runner.ports import free_loopback_port
from web.wiring import THREADS

CORE: Cores = (0,)
PROGRAMS = Path(sys.executable).parent
WEEK = 604_800  # seconds
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=1000;
  types {{ image/webp webp; }}
  client_body_temp_path {folder}/nginx-1; proxy_temp_path {folder}/nginx-2; fastcgi_temp_path {folder}/nginx-3;
  uwsgi_temp_path {folder}/nginx-4; scgi_temp_path {folder}/nginx-5;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running server, and the avatars' paths on it."""

    who: str
    port: int
    process: psutil.Process
    paths: Sequence[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start_ours(testbed: Testbed, avatars: Sequence[Avatar]) -> list[Server]:
    """Start this service as in the Procfile but with one process, and under granian."""
    paths = [avatar.path(testbed.environment["URL_SIGNING_KEYS"]) for avatar in avatars]
    gunicorn, granian = free_loopback_port(), free_loopback_port()
    process = testbed.start_web(gunicorn, CORE, "--workers", "1")
    # As many threads as gunicorn has: a request that waits for a picture occupies one.
    command = [str(PROGRAMS / "granian"), "--interface", "wsgi", "--factory", "web.server.granian:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(granian), "--no-ws", "--blocking-threads", str(THREADS)]
    return [
        _wait_for(Server("this service, gunicorn", gunicorn, process, paths)),
        _wait_for(Server("this service, granian", granian, testbed.start(command, CORE), paths)),
    ]


def start_constant(testbed: Testbed, avatars: Sequence[Avatar]) -> Server:
    """Start gunicorn with this service's settings and one constant answer: its upper limit."""
    size = sum(len(avatar.body) for avatar in avatars) // len(avatars)
    port = free_loopback_port()
    command = [str(PROGRAMS / "gunicorn"), "--workers", "1", "--pythonpath", "scripts", "benches.peers.constant:app"]
    process = testbed.start(command, CORE, HOST="127.0.0.1", PORT=str(port), ANSWER_BYTES=str(size))
    return _wait_for(Server("gunicorn, constant answer", port, process, [f"/{a.file_id}" for a in avatars]))


def start_nginx(testbed: Testbed, avatars: Sequence[Avatar]) -> Server | None:
    """Start nginx with the same bytes as files; None if it is missing."""
    if not (nginx := tools.find("nginx")):
        return None
    port = free_loopback_port()
    files = testbed.folder / "files"
    files.mkdir()
    for avatar in avatars:
        (files / f"{avatar.file_id}.webp").write_bytes(avatar.body)
    conf = testbed.folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=testbed.folder, port=port))
    process = testbed.start([*nginx, "-e", str(testbed.folder / "nginx.log"), "-c", str(conf)], CORE)
    return _wait_for(Server("nginx, static files", port, process, [f"/{a.file_id}.webp" for a in avatars]))


def start_original(testbed: Testbed, redis: Redis, avatars: Sequence[Avatar]) -> Server | None:
    """Start the original's better design; None if it is missing."""
    if not (uvicorn := peers_env.find("uvicorn")):
        return None
    for avatar in avatars:
        redis.setex(f"photo:{avatar.file_id}", WEEK, avatar.body)
    port = free_loopback_port()
    command = [str(uvicorn), "--app-dir", str(PEERS), "--factory", "original:after", "--no-access-log"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools"]
    process = testbed.start(command, CORE, TELEGRAM_API_URL="http://127.0.0.1:1")  # all pictures are stored
    return _wait_for(Server(AFTER, port, process, [f"/photo/{a.file_id}" for a in avatars]))


def start_thumbor(testbed: Testbed, redis: Redis, redis_port: int, avatars: Sequence[Avatar]) -> Server | None:
    """Start thumbor with stored results; None if it is missing."""
    if not (thumbor := peers_env.find("thumbor")):
        return None
    paths = [f"/unsafe/{SIZE}x{SIZE}/filters:format({FORMAT})/{avatar.file_id}" for avatar in avatars]
    for path, avatar in zip(paths, avatars, strict=True):
        redis.setex(f"result:{path}", WEEK, avatar.body)
    port = free_loopback_port()
    command = [str(thumbor), "--ip", "127.0.0.1", "--port", str(port), "--conf", str(PEERS / "thumbor.conf")]
    settings = {"PYTHONPATH": str(PEERS), "REDIS_PORT": str(redis_port), "TELEGRAM_API_URL": "http://127.0.0.1:1"}
    return _wait_for(Server(THUMBOR, port, testbed.start(command, CORE, **settings), paths))


def _wait_for(server: Server) -> Server:
    """Wait until the server answers; return it."""

    def is_serving() -> bool:
        try:
            return requests.get(server.url + server.paths[0], headers=ACCEPT, timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    wait_for(server.who, is_serving)
    return server
