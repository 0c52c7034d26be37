"""How the trial reads the Dockerfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import ROOT
from trial.dockerfile import Image, copy, list_left_out, read_instructions, set_up
from trial.shell import Failed

TEXT = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")


def test_instructions_go_on_after_a_backslash_and_remarks_are_none() -> None:
    assert read_instructions("# a\nFROM x AS y\n\nENV A=1 \\\n    B=2\n# b\nRUN c # d\n") == [
        ("FROM", "x AS y"),
        ("ENV", "A=1      B=2"),
        ("RUN", "c # d"),
    ]


def test_every_instruction_of_the_dockerfile_is_known(tmp_path: Path) -> None:
    image = Image(tmp_path)
    for name, words in read_instructions(TEXT):
        if name not in ("FROM", "COPY", "RUN"):
            set_up(image, name, words)
    assert (image.user, image.folder) == ("10001:10001", "/opt/avatar-warmer")
    assert (image.entrypoint, image.command) == (["avatar-warmer"], ["run", "web"])
    assert image.environ["PROMETHEUS_MULTIPROC_DIR"] == "/run/avatar-warmer"
    with pytest.raises(Failed, match="VOLUME"):
        set_up(image, "VOLUME", "/data")


def test_a_folder_is_copied_by_its_content_and_files_into_a_folder_without_what_is_left_out(tmp_path: Path) -> None:
    context, image = tmp_path / "context", Image(tmp_path / "image", folder="/here")
    for name in ("docs/a.md", "docs/pictures/b.png", "docs/__pycache__/c", "setup.py", "README.md"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).touch()
    left_out = list_left_out("# remark\n*\n!docs\ndocs/pictures\n**/__pycache__\n")
    copy(image, "docs docs", context, {}, left_out)
    copy(image, "setup.py README.md ./", context, {}, left_out)
    copy(image, "setup.py /there/setup.py", context, {}, left_out)
    found = {str(path.relative_to(image.root)) for path in image.root.rglob("*") if path.is_file()}
    assert found == {"here/docs/a.md", "here/setup.py", "here/README.md", "there/setup.py"}
