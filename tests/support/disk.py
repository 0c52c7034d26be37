"""Small file systems in memory that a test fills up, in a mount namespace of this test process."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CLONE_NEWNS = 0x00020000  # unshare(2)
MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux shares memory


@functools.cache
def enter_namespace() -> bool:
    """Give this process its own mounts, which end with it. Returns False if the system does not allow it."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNS):
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(
    os.name != "posix" or os.uname().sysname != "Linux" or os.geteuid() != 0,
    reason="only root on Linux may mount a small disk to fill it up",
)


@contextmanager
def small_disk(folder: Path, size: str = "24m", inodes: int = 0) -> Iterator[Path]:
    """Yields the folder, a file system of this size in memory; 0 inodes means no limit."""
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes},mode=700", "tmpfs"):
        yield folder


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make an existing folder read-only, also for root."""
    with _mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    if not enter_namespace():
        pytest.skip("this system allows no mount namespace, in which a test could mount a folder")
    subprocess.run(["mount", *arguments, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the file system of this folder to the last byte, and free it at the end."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:  # it stays full if the file is deleted
        with suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            ballast.unlink(missing_ok=True)


@contextmanager
def without_inodes(folder: Path) -> Iterator[None]:
    """Use up the inodes of this folder's file system, and free them at the end."""
    made: list[Path] = []
    try:
        with suppress(OSError):
            while True:
                file = folder / f"ballast-{len(made)}"
                file.touch()
                made.append(file)
        yield
    finally:
        for file in made:
            file.unlink()
