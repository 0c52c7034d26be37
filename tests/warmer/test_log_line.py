"""Lines of the log without a logger."""

from __future__ import annotations

import json
import logging
import logging.config
from pathlib import Path

import pytest

from warmer.log_line import exit_with, format_json, wants_json
from warmer.observe.logs import logging_config
from warmer.settings import Settings


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOG_FORMAT", raising=False)


def test_a_line_has_the_fields_of_the_log(settings: Settings) -> None:
    config = logging_config(settings.model_copy(update={"log_format": "json"}))
    made = config["formatters"]["line"]
    formatter = logging.config.DictConfigurator({"version": 1}).configure_custom(dict(made))
    logged = json.loads(formatter.format(logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "ä"})))
    line = json.loads(format_json("INFO", "x", "ä"))
    assert list(line) == list(logged)
    assert len(line["time"]) == len(logged["time"])
    assert {name: line[name] for name in ("level", "logger", "process", "message")} == {
        name: logged[name] for name in ("level", "logger", "process", "message")
    }


def test_a_process_that_cannot_start_ends_with_one_line_in_the_format_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SystemExit) as text:
        exit_with("PORT: must be a number")
    assert text.value.code == "avatar-warmer: PORT: must be a number"
    monkeypatch.setenv("LOG_FORMAT", "json")
    with pytest.raises(SystemExit) as ended:
        exit_with("PORT: must be a number")
    line = json.loads(str(ended.value.code))
    assert (line["level"], line["message"]) == ("CRITICAL", "PORT: must be a number")


def test_the_format_is_also_read_from_dotenv_and_is_text_if_that_cannot_be_read(tmp_path: Path) -> None:
    assert not wants_json()
    (tmp_path / ".env").write_text("LOG_FORMAT=json")
    assert wants_json()
    (tmp_path / ".env").write_bytes(b"LOG_FORMAT=\xff")
    assert not wants_json()
