"""Settings with variables of a test in the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from warmer.errors import ConfigError
from warmer.settings import Settings, load_settings

SECRET = "hunter2hunter2hunter2hunter2"
Set = Callable[..., Settings]


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Load the settings with these variables in the environment; None removes a variable."""
    monkeypatch.chdir(tmp_path)

    def load(**variables: str | None) -> Settings:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load_settings()

    return load


def refuse(env: Set, name: str, value: str | None, **more: str) -> str:
    """Returns the one-line error for this value."""
    with pytest.raises(ConfigError) as caught:
        env(**{name: value}, **more)
    line = str(caught.value)
    assert line.startswith(f"{name}: ")
    assert "\n" not in line
    assert "; " not in line
    return line
