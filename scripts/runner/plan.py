"""Collects the given settings, makes the missing ones, and checks all before anything starts.

After `make_plan` this process has the environment that every child inherits.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import demo, ports, procfile, redis_server
from runner.folders import Folders, check_path, socket_path, write_private
from runner.terminal import StartFailed
from warmer.settings import TELEGRAM, Settings, load_settings
from warmer.sources import make_key, read_env_file

SERVER_KEYS = ("API_KEYS", "URL_SIGNING_KEYS")
KEYS_HEADER = "# Made by the first start. These keys grant a server's rights; without them every photo URL changes.\n"
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - how this machine reaches a server that listens everywhere


@dataclass(frozen=True)
class Plan:
    """The settings and commands of a start."""

    folders: Folders
    settings: Settings
    services: Mapping[str, str]  # the Procfile's commands
    helpers: Mapping[str, list[str]]  # redis and telegram, if this start needs its own
    made: frozenset[str]  # names of the settings that were not given

    @property
    def is_demo(self) -> bool:
        return "DEMO" in self.made

    @property
    def page(self) -> str:
        """The page's URL for this machine."""
        host = LOOPBACK.get(self.settings.host, self.settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}/"

    @property
    def page_for_operators(self) -> str:
        """The page's URL with the key of this start."""
        assert self.settings.page_key  # noqa: S101 - make_plan made it
        return f"{self.page}?key={self.settings.page_key.get_secret_value()}"


def make_plan(folders: Folders, given: Mapping[str, str]) -> Plan:
    """Make the plan, and put its settings into the environment.

    Raises ConfigError or StartFailed; the message names the variable.
    """
    check_path("the project's folder", Path.cwd())
    services = procfile.read(Path("Procfile"))
    made = _made_values(folders, given)
    os.environ["DEMO"] = "0"  # a demo signs visitors in: only a missing token starts one, no setting
    os.environ["PAGE_KEY"] = secrets.token_urlsafe(32)  # in no file: it ends with this start
    os.environ.update(made, DATA_DIR=str(folders.data))
    settings = load_settings()
    made.update(_ports(settings, given), HOST=settings.host)
    os.environ.update(made)
    settings = load_settings()
    _complete_environment(folders)
    helpers = _helpers(folders, settings, given)
    write_private(folders.running, _as_env(made))
    return Plan(folders, settings, services, helpers, frozenset(made))


def _made_values(folders: Folders, given: Mapping[str, str]) -> dict[str, str]:
    """Values for the missing settings: a clone and Python are enough to start."""
    made: dict[str, str] = {}
    if "TELEGRAM_BOT_TOKEN" not in given:
        if given.get("TELEGRAM_API_URL", TELEGRAM).rstrip("/") != TELEGRAM:
            raise StartFailed("TELEGRAM_BOT_TOKEN: is missing, although TELEGRAM_API_URL is set")
        made |= demo.environment(ports.free_loopback_port())
        made["TELEGRAM_RATE"] = given.get("TELEGRAM_RATE", made["TELEGRAM_RATE"])
    keys = ["FLOWER_BASIC_AUTH"]
    if "REDIS_URL" not in given:
        made["REDIS_URL"] = f"unix://{socket_path(folders, 'redis.sock')}?db=0"
        keys += SERVER_KEYS
    return made | _make_keys(folders.keys, [name for name in keys if name not in given])


def _ports(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """Choose the ports, the given ones first: defaults give way to them."""
    found: dict[str, int] = {}
    wanted = {"PORT": (settings.host, settings.port), "FLOWER_PORT": ("127.0.0.1", settings.flower_port)}
    for name in sorted(wanted, key=lambda name: name not in given):
        host, port = wanted[name]
        found[name] = ports.choose(name, port, host=host, chosen=name in given, avoid=frozenset(found.values()))
    return {name: str(port) for name, port in found.items()}


def _complete_environment(folders: Folders) -> None:
    """Add variables that the children need. Secrets reach them through the environment only, never a command line."""
    procfile.add_programs_to_path()
    os.environ.update(
        PROMETHEUS_MULTIPROC_DIR=str(folders.metrics),
        PYTHONUNBUFFERED="1",
        PYTHONUTF8="1",  # of any locale: the files of a start are UTF-8
    )


def _helpers(folders: Folders, settings: Settings, given: Mapping[str, str]) -> dict[str, list[str]]:
    helpers = {}
    if "REDIS_URL" not in given:
        helpers["redis"] = redis_server.command(
            redis_server.find_server(),
            socket=socket_path(folders, "redis.sock"),
            folder=folders.redis,
            maxmemory=settings.redis_maxmemory,
        )
    if "TELEGRAM_BOT_TOKEN" not in given:
        helpers["telegram"] = demo.telegram_command(settings.telegram_api_url)
    return helpers


def _make_keys(file: Path, names: Iterable[str]) -> dict[str, str]:
    """The kept key of each name; missing ones are made now. Raises StartFailed."""
    try:
        kept = read_env_file(file)
        missing = [name for name in names if name not in kept]
        if missing:
            kept.update({name: make_key(name) for name in missing})
            write_private(file, KEYS_HEADER + _as_env(kept))
        elif file.exists():
            file.chmod(0o600)
    except OSError as error:
        raise StartFailed(f"DATA_DIR: {file}: {error.strerror}") from None
    return {name: kept[name] for name in names}


def _as_env(values: Mapping[str, str]) -> str:
    """The lines of an env file in python-dotenv's syntax."""
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
    return "".join(f"{name}='{value}'\n" for name, value in quoted.items())
