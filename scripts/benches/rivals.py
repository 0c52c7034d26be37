"""The servers to compare with, one process each: nginx, gunicorn alone, the original's two designs, thumbor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benches import peers_env, tools
from benches.avatars import Avatar
from benches.service import is_up
from benches.testbed import BOTH, FORMAT, SIZE, Cores, Testbed, wait_for
from runner.ports import free_loopback_port
from web.wiring import THREADS

PEERS = Path(__file__).with_name("peers")
PROGRAMS = Path(sys.executable).parent
OURS, GRANIAN = "this service, gunicorn", "this service, granian"
CEILING, NGINX = "gunicorn, constant answer", "nginx, static files"
BEFORE, AFTER = "the original, before", "the original, after"
THUMBOR, THUMBOR_CURL = "thumbor", "thumbor, with curl"
NGINX_CONF = """
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
class Rival:
    """A running server."""

    name: str
    port: int
    process: psutil.Process
    path_of: Callable[[str], str]  # file id → the path of its picture


def start_ours(testbed: Testbed, cores: Cores) -> list[Rival]:
    """Start this service as in the Procfile but with one process, and under granian."""
    gunicorn, granian = free_loopback_port(), free_loopback_port()
    # As many threads as gunicorn has: a request that waits for a picture occupies one.
    command = [str(PROGRAMS / "granian"), "--interface", "wsgi", "--factory", "web.server.granian:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(granian), "--no-ws", "--blocking-threads", str(THREADS)]
    processes = {
        OURS: (gunicorn, testbed.start_web(gunicorn, cores, "--workers", "1")),
        GRANIAN: (granian, testbed.start(command, cores)),
    }
    return [
        _wait_for(Rival(name, port, process, testbed.path_of), "/healthz")
        for name, (port, process) in processes.items()
    ]


def start_constant(testbed: Testbed, cores: Cores, size: int) -> Rival:
    """Start gunicorn with its own worker, this service's settings and a constant answer of this many bytes."""
    port = free_loopback_port()
    command = [str(PROGRAMS / "gunicorn"), "--workers", "1", "--worker-class", "gthread", "--pythonpath", "scripts"]
    command.append("benches.peers.constant:app")
    process = testbed.start(command, cores, HOST="127.0.0.1", PORT=str(port), ANSWER_BYTES=str(size))
    return _wait_for(Rival(CEILING, port, process, lambda file_id: f"/{file_id}"), "/")


def start_nginx(testbed: Testbed, cores: Cores, avatars: Sequence[Avatar]) -> Rival | None:
    """Start nginx with these pictures as files; None if it is missing."""
    if not (nginx := tools.find("nginx")):
        return None
    port, folder = free_loopback_port(), testbed.folder
    (folder / "files").mkdir()
    for avatar in avatars:
        (folder / "files" / f"{avatar.file_id}.webp").write_bytes(avatar.body)
    conf = folder / "nginx.conf"
    conf.write_text(NGINX_CONF.format(folder=folder, port=port))
    process = testbed.start([*nginx, "-e", str(folder / "nginx.log"), "-c", str(conf)], cores)
    rival = Rival(NGINX, port, process, lambda file_id: f"/{file_id}.webp")
    return _wait_for(rival, rival.path_of(avatars[0].file_id))


def start_originals(testbed: Testbed) -> list[Rival]:
    """Start both designs; none if uvicorn is missing."""
    found = [start_original(testbed, BEFORE, "original:before"), start_original(testbed, AFTER)]
    return [rival for rival in found if rival]


def start_original(
    testbed: Testbed, name: str, app: str = "original:after", cores: Cores = BOTH, **settings: str
) -> Rival | None:
    """Start one design; None if uvicorn is missing."""
    if not (uvicorn := peers_env.find("uvicorn")):
        return None
    port = free_loopback_port()
    command = [str(uvicorn), "--app-dir", str(PEERS), "--factory", app, "--host", "127.0.0.1", "--port", str(port)]
    process = testbed.start([*command, "--no-access-log"], cores, **settings)
    return _wait_for(Rival(name, port, process, lambda file_id: f"/photo/{file_id}"), "/recent")


def start_thumbors(testbed: Testbed, redis_port: int) -> list[Rival]:
    """Start thumbor with its default HTTP client, and with the one it recommends; none if it is missing."""
    # Both use one Redis: their file ids differ, so neither finds the other's results.
    found = [start_thumbor(testbed, redis_port)]
    if found[0]:
        python = str(peers_env.ENVIRONMENTS[1] / "bin" / "python")
        if not subprocess.run([python, "-c", "import pycurl"], capture_output=True, check=False).returncode:
            found.append(start_thumbor(testbed, redis_port, THUMBOR_CURL, THUMBOR_CURL="yes"))
    return [rival for rival in found if rival]


def start_thumbor(
    testbed: Testbed, redis_port: int, name: str = THUMBOR, cores: Cores = BOTH, **settings: str
) -> Rival | None:
    """Start thumbor, which stores its results in Redis under `result:` and their paths; None if it is missing."""
    if not (thumbor := peers_env.find("thumbor")):
        return None
    port = free_loopback_port()
    command = [str(thumbor), "--ip", "127.0.0.1", "--port", str(port), "--conf", str(PEERS / "thumbor.conf")]
    process = testbed.start(command, cores, PYTHONPATH=str(PEERS), REDIS_PORT=str(redis_port), **settings)
    path = f"/unsafe/{SIZE}x{SIZE}/filters:format({FORMAT})/"
    return _wait_for(Rival(name, port, process, lambda file_id: path + file_id), "/healthcheck")


def _wait_for(rival: Rival, path: str) -> Rival:
    """Wait until the server answers 200 at this path; return it."""
    wait_for(rival.name, lambda: is_up(rival.port, path))
    return rival
