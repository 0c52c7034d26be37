"""DATA_DIR and its folders."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.terminal import StartFailed
from warmer.sources import MADE, find_folder

SOCKET_PATH_BYTES = 100  # the kernels' limits are 104 (macOS) and 108 (Linux)
URL_SAFE = re.compile(r"[A-Za-z0-9_./-]+")  # a path that needs no quoting in a URL


@dataclass(frozen=True)
class Folders:
    """The folders and files of a runner; only their owner can read them."""

    data: Path

    @property
    def run(self) -> Path:
        """The files of one start: sockets, generated configuration, metrics."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def redis(self) -> Path:
        return self.data / "redis"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics"

    @property
    def supervisor_config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def mark(self) -> Path:
        """The file with the mark that every process of the current start has in its environment."""
        return self.run / "mark"

    @property
    def running(self) -> Path:
        """The settings that this start made, for other programs; `warmer.settings` reads the file."""
        return self.data / MADE

    @property
    def keys(self) -> Path:
        return self.data / "keys.env"

    def shown(self, path: Path) -> str:
        """The path relative to the folder of `.env`, if it is inside."""
        here = find_folder().resolve()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)


def make(data_dir: Path) -> Folders:
    """Make DATA_DIR and its folders, 0700."""
    folders = Folders(data_dir.resolve())
    check_path("DATA_DIR", folders.data)
    try:
        is_ours = not folders.data.exists() or folders.run.is_dir() or not any(folders.data.iterdir())
        folders.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours:  # a home folder, or /tmp, keeps its mode
            folders.data.chmod(0o700)
        for folder in (folders.run, folders.logs, folders.redis):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
    except OSError as error:
        raise StartFailed(f"DATA_DIR: {error.filename or data_dir}: {error.strerror}") from None
    return folders


def check_path(name: str, path: Path) -> None:
    """Raises StartFailed if supervisord's configuration, a text in UTF-8, cannot hold the path."""
    try:
        text = os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise StartFailed(f"{name}: is not UTF-8: rename the folder") from None
    if re.search(r"\s[;#]|[\x00-\x1f]", text):  # ` ;` starts a comment
        raise StartFailed(f"{name}: must hold no line break, and no ; or # after a space: {text!r}")


def lock(folders: Folders) -> int:
    """Take the lock of this DATA_DIR until this process ends. Raises StartFailed if another runner has it."""
    handle = os.open(folders.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 20).decode() or "?"
        raise StartFailed(
            f"already running in {folders.data} (process {owner}): stop it, or choose another DATA_DIR and PORT"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle


def empty_metrics(folders: Folders) -> None:
    """Delete the metrics of the last start: Prometheus' multi-process files count one start only."""
    shutil.rmtree(folders.metrics, ignore_errors=True)
    folders.metrics.mkdir(mode=0o700, exist_ok=True)  # a mount point stays


def socket_path(folders: Folders, name: str) -> Path:
    """The path of a unix socket: in DATA_DIR, or in the private folder if that path is too long or needs quoting."""
    inside = folders.run / name
    if len(os.fsencode(inside)) < SOCKET_PATH_BYTES and URL_SAFE.fullmatch(str(inside)):
        return inside
    outside = private_folder() / f"{folders.data.stat().st_dev:x}-{folders.data.stat().st_ino:x}-{name}"
    if len(os.fsencode(outside)) < SOCKET_PATH_BYTES:
        return outside
    raise StartFailed(f"DATA_DIR: is too long a path for a socket, and so is {outside.parent}: choose a shorter one")


def private_folder() -> Path:
    """A 0700 folder of this user outside DATA_DIR, for files with a short path or shared by runners.

    Every user may write to the temporary folder, so a folder of another user is refused with StartFailed.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    if not (base.is_dir() and os.access(base, os.W_OK)):
        base = Path(tempfile.gettempdir())
    folder = base / f"avatar-warmer-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StartFailed(f"{folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StartFailed(f"{folder} is not a private folder of this user: remove it")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write the file in one atomic step, with mode 0600 from the start."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))  # of any locale
    unfinished.replace(path)
