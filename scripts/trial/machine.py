"""An empty Debian in namespaces of its own: debootstrap makes it, and systemd runs it as process 1.

Its network is slirp4netns: the machine reaches the sources of packages, and nothing reaches the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trial.shell import Failed, Shell, end
from trial.sources import copy_sources, find_mirror, find_release

NEEDS = ("debootstrap", "slirp4netns", "unshare", "nsenter", "pivot_root")
PACKAGES = "systemd-sysv,dbus,ca-certificates"
BOOT_SECONDS = 120.0
STOP_SECONDS = 90.0
POLL = 0.2

# Runs as the first process of the new namespaces, and turns into systemd. $1: the machine's files.
INIT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${name%:*}" c 1 "${name#*:}"; done
mknod -m 666 dev/tty c 5 0
for place in dev/shm run tmp; do mount -t tmpfs tmpfs "$place"; done
chmod 1777 dev/shm tmp
hostname empty
pivot_root . .
umount -l .
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
"""


def check_needs() -> None:
    """Raises Failed if this machine cannot make another one."""
    if os.geteuid() != 0:
        raise Failed("needs root: it makes a machine with debootstrap and namespaces of its own")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in NEEDS if not shutil.which(name, path=path)]:
        raise Failed(f"needs {' and '.join(missing)} (Debian: apt install debootstrap slirp4netns util-linux)")


def make(root: Path, more: str = PACKAGES) -> None:
    """An empty Debian in this folder, of the release of this machine, without a recommended package."""
    words = ["debootstrap", "--variant=minbase", f"--include={more}", find_release(), str(root), find_mirror()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"debootstrap failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    copy_sources(root)


class Machine:
    """A machine that runs."""

    def __init__(self, init: int) -> None:
        self.init = init  # its process 1, as this machine numbers it

    def open_shell(self) -> Shell:
        return Shell("nsenter", "--target", str(self.init), "--all", "--")

    def start_beside(self, *words: str) -> subprocess.Popen[bytes]:
        """A program of this machine that listens on the other one's loopback."""
        return subprocess.Popen(["nsenter", "--target", str(self.init), "--net", "--", *words])  # noqa: S607


@contextlib.contextmanager
def boot(root: Path) -> Iterator[Machine]:
    """Run systemd on these files; at the end everything in it ends, too."""
    shutil.copy("/etc/hosts", root / "etc/hosts")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")  # slirp4netns asks this machine's
    group = _find_cgroups() / f"try-deployment-{os.getpid()}"
    group.mkdir()
    enter = f'echo $$ > "{group}/cgroup.procs"; exec "$@"'
    spaces = ("--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "--net", "--kill-child=SIGKILL")
    words = ["sh", "-c", enter, "sh", "unshare", *spaces, "sh", "-c", INIT, "sh", str(root)]
    with (root.parent / "console.log").open("wb") as log, contextlib.ExitStack() as stack:
        unshare = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(_end, unshare, group)
        init = _find_child(unshare)
        network = ["slirp4netns", "--configure", "--disable-host-loopback", str(init), "tap0"]
        slirp = subprocess.Popen(network, stdout=log, stderr=log)
        stack.callback(end, slirp)
        stack.callback(_power_off, unshare, init)
        machine = Machine(init)
        _wait_for_systemd(machine, unshare, log.name)
        yield machine


def _find_cgroups() -> Path:
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise Failed("needs a kernel with cgroup2 mounted")


def _find_child(unshare: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and unshare.poll() is None:
        name = Path(f"/proc/{unshare.pid}/comm").read_text().strip()
        if name == "unshare" and (found := children.read_text().split()):
            return int(found[0])
        time.sleep(POLL)
    raise Failed("the machine did not start: this kernel or this container permits no namespaces")


def _wait_for_systemd(machine: Machine, unshare: subprocess.Popen[bytes], log: str) -> None:
    """Until the boot has ended; a unit that needs hardware may have failed in it."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and unshare.poll() is None:
        if Path(f"/proc/{machine.init}/comm").read_text().strip() == "systemd":
            with contextlib.suppress(Failed, OSError), machine.open_shell() as shell:
                _, said = shell.run("systemctl is-system-running --wait", seconds=BOOT_SECONDS)
                if said.strip() in ("running", "degraded"):
                    return
        time.sleep(POLL)
    raise Failed(f"systemd did not start: {Path(log).read_text(errors='replace')[-2000:]}")


def _power_off(unshare: subprocess.Popen[bytes], init: int) -> None:
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.kill(init, signal.SIGRTMIN + 4)  # as a container asks systemd to power off
        unshare.wait(STOP_SECONDS)


def _end(unshare: subprocess.Popen[bytes], group: Path) -> None:
    unshare.kill()  # and with it, by --kill-child, every process of the machine
    unshare.wait()
    deadline = time.monotonic() + STOP_SECONDS
    while group.exists() and time.monotonic() < deadline:
        for folder in sorted(group.rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(POLL)
    if group.exists():
        print(f"left behind: {group}", file=sys.stderr)
