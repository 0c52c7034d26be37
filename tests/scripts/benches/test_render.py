"""The rendering benchmark reports a library that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches import peers_env, render


def test_a_libvips_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no pyvips here' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(peers_env, "find", lambda _: python)
    with pytest.raises(render.DoesNotRun, match="no pyvips here"):
        render._run_libvips(b"a picture", tmp_path)
