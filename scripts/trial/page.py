"""The commands of a page of the documentation: its blocks of `sh` and `console`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(
    r"^(?:#{2,3} (?P<heading>[^\n]+)|```(?P<kind>sh|console)\n(?P<body>.*?)^```)$", re.MULTILINE | re.DOTALL
)
HEREDOC = re.compile(r"<<'?(\w+)'?")


@dataclass(frozen=True)
class Command:
    """What is typed, and, after a `$`, the answer that the page shows; `…` in it stands for anything."""

    section: str
    text: str
    answer: str = ""

    def is_answered_by(self, output: str) -> bool:
        """Whether the output is the answer, without the white space around it."""
        pattern = ".*".join(map(re.escape, self.answer.strip().split("…")))
        return not self.answer or bool(re.fullmatch(pattern, output.strip(), re.DOTALL))


def read_commands(page: str) -> list[Command]:
    """All commands in the order of the page."""
    commands: list[Command] = []
    heading = ""
    for block in BLOCK.finditer(page):
        heading = block["heading"] or heading
        read = {"sh": _read_sh, "console": _read_console}.get(block["kind"] or "")
        if read:
            commands += (Command(heading, *found) for found in read(block["body"]))
    return commands


def put_last(commands: list[Command], section: str) -> list[Command]:
    """The same, with those of this section at the end."""
    return sorted(commands, key=lambda command: command.section == section)


def _read_sh(body: str) -> Iterator[tuple[str, str]]:
    """One command a line; a backslash goes on, and so does a here-document."""
    lines = iter(body.splitlines())
    for line in lines:
        text = line
        while text.endswith("\\"):
            text += "\n" + next(lines)
        if end := HEREDOC.search(line):
            while text.splitlines()[-1] != end[1]:
                text += "\n" + next(lines)
        if text.strip() and not text.startswith("#"):
            yield text, ""


def _read_console(body: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        text, _, answer = part.partition("\n")
        yield text, answer
