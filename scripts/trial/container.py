"""A container without an engine: namespaces of its own but for the network, which all share, and a read-only root."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from trial.dockerfile import Image
from trial.shell import Failed

SECONDS = 120.0
# $1: the image's files, $2: the folder for figures, $3: the host name, $4: the folder; the rest is the command.
START = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
figures=$2 folder=$4
hostname "$3"
cd "$1"
shift 4
mount -t proc proc proc
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$figures" run/avatar-warmer
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -m 1777 dev/shm
for name in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${name%:*}" c 1 "${name#*:}"; done
pivot_root . .
umount -l .
cd "$folder"
exec "$@"
"""


class Container:
    """A process of the image, as the first one of its namespace."""

    def __init__(self, image: Image, name: str, network: int, figures: Path, environ: dict[str, str]) -> None:
        self.name = name
        self._image, self._environ = image, {**image.environ, **environ}
        self._network, self._figures = network, figures

    def start(self, *command: str) -> None:
        """Start it, with the output in a file beside the image."""
        spaces = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child=SIGKILL")
        enter = ("nsenter", "--target", str(self._network), "--net", "--", "unshare", *spaces)
        place = (str(self._image.root), str(self._figures), self.name, self._image.folder)
        self.log = self._image.root.parent / f"{self.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*enter, "sh", "-c", START, "sh", *place, *self._as_user(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def first(self) -> int:
        """The number of its process 1 on this machine. Raises Failed if it has ended."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := self._children():
                return found[0]
            time.sleep(0.1)
        raise Failed(f"{self.name} ended: {self.log.read_text(errors='replace')[-2000:]}")

    def ask(self, *command: str) -> tuple[int, str]:
        """Run another command in it, as its user, as `docker exec` does."""
        enter = ["nsenter", "--target", str(self.first()), "--mount", "--pid", "--uts", "--ipc", "--net"]
        words = [*enter, f"--wd=/proc/{self.first()}/cwd", "--", *self._as_user(), *command]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout

    def wait_for(self, *command: str) -> str:
        """Repeat the command until it succeeds; returns its output. Raises Failed."""
        deadline, status, said = time.monotonic() + SECONDS, 1, ""
        while status and time.monotonic() < deadline:
            status, said = self.ask(*command)
            time.sleep(0.5 if status else 0)
        if status:
            raise Failed(f"{self.name}: {' '.join(command)}: {said}\n{self.log.read_text(errors='replace')[-2000:]}")
        return said

    def close(self) -> None:
        """Kill its first process, and with it all others. With the change of the user, --kill-child lost its hold."""
        for child in self._children():
            os.kill(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [] if self.process.poll() is not None else [int(word) for word in listed.read_text().split()]

    def _as_user(self) -> list[str]:
        user, group = self._image.user.split(":")
        rights = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        given = [f"{name}={value}" for name, value in self._environ.items()]
        return ["env", "-i", *given, "setpriv", f"--reuid={user}", f"--regid={group}", *rights]
