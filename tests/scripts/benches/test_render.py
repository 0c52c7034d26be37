"""The rendering benchmark: libvips gets the same picture, and its failure is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches import peers_env, render


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a stub for the Python of the peers' environment."""
    program = tmp_path / "python"
    program.touch(0o755)
    monkeypatch.setattr(peers_env, "find", lambda _: program)
    return program


def test_libvips_is_given_the_same_picture(python: Path, tmp_path: Path) -> None:
    python.write_text('#!/bin/sh\ncp "$2" "$3"; echo 4.5\n')
    assert render._run_libvips(b"a picture", tmp_path) == 4.5
    assert (tmp_path / "out.webp").read_bytes() == b"a picture"


def test_a_libvips_that_fails_says_why(python: Path, tmp_path: Path) -> None:
    python.write_text("#!/bin/sh\necho 'no pyvips here' >&2; exit 1\n")
    with pytest.raises(render.DoesNotRun, match="no pyvips here"):
        render._run_libvips(b"a picture", tmp_path)
