"""Follows a Dockerfile without a container engine: each stage is a folder, in which chroot runs its commands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trial.shell import ENVIRONMENT, Failed

# Runs a command in the image. $1: the image's files, $2: the folder, $3: the command.
IN_IMAGE = 'mount --make-rprivate /; mount -t proc proc "$1/proc"; exec /usr/sbin/chroot "$1" /bin/sh -ec "cd $2; $3"'


@dataclass
class Image:
    """The files of a stage, and what a container of it starts with."""

    root: Path
    folder: str = "/"
    environ: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def read_instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with its words, without comments; lines that end in a backslash go on."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [
        (name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines.split("\n")) if name
    ]


def list_left_out(text: str) -> set[str]:
    """The paths that a .dockerignore leaves out although a line with a `!` lets their folder in."""
    return {line for line in text.splitlines() if line and line[0] not in "#!*"}


def build(text: str, context: Path, make_base: Callable[[Path], None], tell: Callable[[str], None]) -> Image:
    """Follow all instructions; returns the image of the last stage. Raises Failed with the one that fails."""
    left_out = list_left_out((context / "deploy" / "Dockerfile.dockerignore").read_text("utf-8"))
    stages: dict[str, Image] = {}
    image = Image(Path())
    for name, words in read_instructions(text):
        if name == "FROM":
            _, _, label = words.partition(" AS ")
            image = stages[label] = Image(Path(f"stage-{len(stages)}"))
            make_base(image.root)
            image.root = image.root.resolve()
        elif name == "COPY":
            copy(image, words, context, stages, left_out)
        elif name == "RUN":
            run(image, words)
        else:
            set_up(image, name, words)
        tell(f"{name} {words}")
    return image


def set_up(image: Image, name: str, words: str) -> None:
    """The instructions that change no file but make a folder."""
    if name == "WORKDIR":
        image.folder = words
        (image.root / words.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif name == "ENV":
        image.environ |= dict(word.split("=", 1) for word in shlex.split(words))
    elif name == "USER":
        image.user = words
    elif name in ("ENTRYPOINT", "CMD"):
        setattr(image, {"ENTRYPOINT": "entrypoint", "CMD": "command"}[name], json.loads(words))
    elif name != "EXPOSE":  # it only informs
        raise Failed(f"an instruction that this does not know: {name} {words}")


def copy(image: Image, words: str, context: Path, stages: dict[str, Image], left_out: set[str]) -> None:
    """A folder's content goes into the target, a file into a target that ends with a slash, or becomes it."""
    if stage := re.match(r"--from=(\w+) ", words):
        context, words = stages[stage[1]].root, words[stage.end() :]
    *names, to = words.split()
    target = image.root / image.folder.lstrip("/") / to.lstrip("/") if to[0] != "/" else image.root / to.lstrip("/")

    def ignore(folder: str, entries: list[str]) -> set[str]:
        place = Path(folder).relative_to(context)
        return {name for name in entries if name == "__pycache__" or str(place / name) in left_out}

    for name in names:
        source = context / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=None if stage else ignore, dirs_exist_ok=True)
        else:
            file = target / source.name if to.endswith("/") else target
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, file)


def run(image: Image, command: str) -> None:
    """Run it as the engine would, with this machine's network."""
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", IN_IMAGE, "sh"]
    done = subprocess.run(
        [*words, str(image.root), image.folder, command],
        env={**ENVIRONMENT, **image.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"RUN {command}\nstatus {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
