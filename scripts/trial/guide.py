"""Follows docs/deployment.md on an empty machine, command by command."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trial.machine import Machine, boot, make
from trial.page import Command, put_last, read_commands
from trial.shell import Failed, Shell, end
from trial.substitutes import Substitute, substitute
from trial.wheels import ROOT, build_wheels

PAGE = ROOT / "docs" / "deployment.md"
LAST = "Uninstall"
TOKEN = "123456789:your-token-from-BotFather"  # noqa: S105 - the one of the page
PEOPLE = [{"id": 42, "first_name": "Ann"}]
ANSWER_SECONDS = 300.0  # until a question is answered as the page shows: an alert takes most of a minute
POLL = 2.0


class Report:
    """Prints each step with its seconds, and at the end what was replaced."""

    def __init__(self) -> None:
        self._started = self._step = time.monotonic()
        self._replaced: list[Substitute] = []

    def tell(self, what: str, *replaced: Substitute) -> None:
        now = time.monotonic()
        mark = "  (replaced)" if replaced else ""
        print(f"{now - self._step:6.1f} s  {what.splitlines()[0]}{mark}", flush=True)
        self._step = now
        self._replaced += [row for row in replaced if row not in self._replaced]

    def end(self) -> None:
        print(f"\nAll of it: {(time.monotonic() - self._started) / 60:.1f} min. Replaced:")
        for row in self._replaced:
            print(f"- {row.section}: {row.old.strip()}\n  by: {row.new.strip()}\n  since {row.why}")


def follow(folder: Path) -> None:
    """Run the page in this folder. Raises Failed with the command that did not do what the page says."""
    report, root = Report(), folder / "machine"
    page = PAGE.read_text("utf-8")
    make(root)
    report.tell("an empty machine")
    versions = build_wheels(page, root / "root")
    report.tell(f"the wheels {' and '.join(versions)}, both of this tree")
    with boot(root) as machine, fake_telegram(machine, folder), machine.open_shell() as shell:
        shell.run("echo 127.0.0.1 avatars.example.org >> /etc/hosts")
        report.tell("systemd is process 1")
        section = ""
        for command in put_last(read_commands(page), LAST):
            if command.section != section:
                section = command.section
                print(f"\n{section}")
            text, replaced = substitute(section, command.text)
            run(shell, command, text)
            report.tell(command.text, *replaced)
    report.end()


def run(shell: Shell, command: Command, text: str) -> None:
    """Run it once, or, if the page shows an answer, until the answer comes."""
    deadline = time.monotonic() + ANSWER_SECONDS
    status, output = shell.run(text)
    while command.answer and not command.is_answered_by(output) and time.monotonic() < deadline:
        time.sleep(POLL)
        status, output = shell.run(text)
    if status or not command.is_answered_by(output):
        _, units = shell.run("systemctl --failed --no-legend; journalctl --no-pager -n 40")
        raise Failed(f"{command.section}: {text}\nstatus {status}, and it printed:\n{output[-3000:]}\n{units[-5000:]}")


@contextlib.contextmanager
def fake_telegram(machine: Machine, folder: Path) -> Iterator[None]:
    """The project's own stand-in for the Bot API, on the machine's loopback."""
    people = folder / "users.json"
    people.write_text(json.dumps(PEOPLE))
    program = str(ROOT / "scripts" / "faketelegram")
    fake = machine.start_beside(sys.executable, program, "--token", TOKEN, "--users", str(people))
    try:
        yield
    finally:
        end(fake)
