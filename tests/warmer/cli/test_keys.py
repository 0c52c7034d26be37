"""`avatar-warmer keys`: lines that every reader of environment files takes, and that the settings accept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli_parts import answer, call
from warmer.settings import load_settings
from warmer.sources import FOLDER, read_env_file

NAMES = ["API_KEYS", "URL_SIGNING_KEYS", "FLOWER_BASIC_AUTH"]


def test_the_keys_are_lines_without_a_character_that_a_reader_of_env_files_could_treat_as_special() -> None:
    lines = call("keys").stdout.splitlines()
    assert [re.fullmatch(r"(\w+)=[\w:,-]+", line, re.ASCII)[1] for line in lines] == NAMES  # type: ignore[index]


def test_the_keys_a_token_and_a_redis_are_settings_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*NAMES, "TELEGRAM_BOT_TOKEN", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    lines = call("keys").stdout + "TELEGRAM_BOT_TOKEN=1:a\nREDIS_URL=redis://127.0.0.1\n"
    (tmp_path / ".env").write_text(lines)
    settings = load_settings()
    given = read_env_file(tmp_path / ".env")
    assert [key.get_secret_value() for key in settings.api_keys] == given["API_KEYS"].split(",")
    assert len(settings.api_keys) == 2
    assert settings.flower_basic_auth
    assert settings.flower_basic_auth.get_secret_value() == given["FLOWER_BASIC_AUTH"]


def test_each_call_prints_other_keys() -> None:
    first, second = answer("keys", "--json"), answer("keys", "--json")
    assert list(first) == NAMES
    assert [name for name in NAMES if first[name] == second[name]] == []
