"""The proxies of deploy/ as real processes in front of a service: the shipped files with the test's addresses."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from runner.ports import free_loopback_port
from tests.support.programs import find_program
from tests.support.running import REQUEST_SECONDS
from tests.support.servers import Certificate
from tests.support.waiting import wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SHIPPED = DEPLOY / "nginx" / "avatar-warmer.conf"
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
            return bool(requests.get(f"{url}/readyz", allow_redirects=False, timeout=REQUEST_SECONDS).status_code)
        except requests.ConnectionError:
            return False

    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(answers)
            yield url
        finally:
            server.terminate()


@contextmanager
def nginx(folder: Path, upstream: str, outside: str = "", inside: str = "") -> Iterator[str]:
    """Run nginx with the shipped file and more lines, outside or inside its server. Yields the URL.

    Its cache is the folder `cache`.
    """
    text = outside + SHIPPED.read_text("utf-8").replace("\nserver {", "\nserver {\n" + inside)
    port = free_loopback_port()
    yours = {
        "/var/cache/nginx/avatar-warmer": str(folder / "cache"),
        "server 127.0.0.1:8000": f"server {upstream.removeprefix('http://')}",
        "    listen 80;  # plain\n    listen [::]:80;  # plain\n": f"    listen 127.0.0.1:{port};\n",
        # A busy machine takes longer than a host of its own.
        "proxy_cache_lock_timeout 3s;": "proxy_cache_lock_timeout 60s;",
        "proxy_cache_lock_age 3s;": "proxy_cache_lock_age 60s;",
        "proxy_read_timeout 20s;": "proxy_read_timeout 60s;",
    }
    for shipped, here in yours.items():
        assert text.count(shipped) == 1
        text = text.replace(shipped, here)
    with _run_nginx(folder, text, port) as url:
        yield url


@contextmanager
def nginx_with_tls(folder: Path, upstream: str, rules: str, certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Run nginx with the shipped file after these rules of sed. Yields its http and its https URL, on 127.0.0.1."""
    command = [find_program("sed"), "-e", rules, str(SHIPPED)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    plain, secure = free_loopback_port(), free_loopback_port()
    yours = {
        "/var/cache/nginx/avatar-warmer": f"{folder}/cache",
        "server 127.0.0.1:8000": f"server {upstream.removeprefix('http://')}",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen [::]:80;": f"listen [::1]:{plain};",
        "listen 443 ": f"listen 127.0.0.1:{secure} ",
        "listen [::]:443 ": f"listen [::1]:{secure} ",
        "/etc/letsencrypt/live/avatars.example.org/fullchain.pem": str(certificate.file),
        "/etc/letsencrypt/live/avatars.example.org/privkey.pem": str(certificate.key),
        "/var/www/html": f"{folder}/html",
    }
    for shipped, here in yours.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    with _run_nginx(folder, text, plain) as url:
        yield url, f"https://127.0.0.1:{secure}"


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
