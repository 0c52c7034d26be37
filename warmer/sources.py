"""Finds the project and its settings before these are checked: the environment and env files."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from warmer.errors import ConfigError

_PACKAGES = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGES / "avatar_warmer"  # only a wheel has this folder: setup.py makes it
IS_CLONE = not (_INSTALLED / "Procfile").is_file()
PROJECT = _PACKAGES if IS_CLONE else _INSTALLED  # the folder of the Procfile, of scripts/ and of the configuration
MADE = "running.env"  # in DATA_DIR: the settings that a start has made, while it runs
FOLDER = "AVATAR_WARMER_FOLDER"  # `avatar-warmer run` sets it unless it is set: its processes run in PROJECT


def find_folder() -> Path:
    """The folder of `.env` and DATA_DIR; relative paths in settings start here. The current one unless it is set."""
    return Path(os.environ.get(FOLDER, ""))


def is_service_link(value: Any) -> bool:
    """Returns True if Kubernetes or Docker set the variable: beside a service named x, X_PORT is tcp://host:port."""
    return bool(re.match(r"(tcp|udp|sctp)://", str(value)))


def ignore_service_links() -> None:
    """Remove a FLOWER_PORT that is a link to a service. Flower reads the variable itself, too, and would not start."""
    if is_service_link(os.environ.get("FLOWER_PORT")):
        del os.environ["FLOWER_PORT"]


def read_given() -> dict[str, str]:
    """Return the variables in the environment and in `.env`, by upper-case name. Empty values do not count.

    Raises ConfigError.
    """
    ignore_service_links()
    sources = (read_env_file(find_folder() / ".env"), os.environ)  # the later one wins
    return {name.upper(): value for source in sources for name, value in source.items() if value}


def find_data_dir(given: Mapping[str, str]) -> Path:
    """The folder DATA_DIR, with `~` as in a shell. Raises ConfigError for the home of an unknown user."""
    try:
        return find_folder() / Path(given.get("DATA_DIR", "data")).expanduser()
    except RuntimeError:
        raise ConfigError("DATA_DIR: begins with a ~ that names no home folder") from None


def read_values() -> dict[str, str]:
    """Return the given variables, and below them those that a running start has made. Raises ConfigError."""
    given = read_given()
    return read_env_file(find_data_dir(given) / MADE) | given


def name_places() -> str:
    """The places that `read_values` reads, in words. Raises ConfigError."""
    made = find_data_dir(read_given()) / MADE
    return f"the environment, {(find_folder() / '.env').absolute()} and {made.absolute()}"


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file that have a value. Returns an empty dictionary if there is no file.

    Raises ConfigError if this user cannot read it, if it is not UTF-8, or if python-dotenv cannot read a line: it would
    leave that one out, and the service would start without it.
    """
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): let this user read it") from None
    except ValueError:
        raise ConfigError(f"{path}: is not text in UTF-8: save it in that encoding") from None
    _require_readable_lines(path, text)
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value}


def _require_readable_lines(path: Path, text: str) -> None:
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            statement = binding.original.string
            blank = statement[: len(statement) - len(statement.lstrip())]
            place = binding.original.line + blank.count("\n")
            raise ConfigError(f"{path}: line {place} cannot be read: a quote is missing, or text follows a quote")


def make_key(name: str) -> str:
    """A new value of this setting: a key of 43 characters that no shell and no env file treats as special."""
    key = secrets.token_urlsafe(32)
    return f"admin:{key}" if name == "FLOWER_BASIC_AUTH" else key


def split_commas(value: Any) -> Any:
    """The parts of a text between commas; any other value as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
