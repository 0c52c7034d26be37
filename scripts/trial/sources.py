"""Where packages come from: the machine gets the sources of this one, which may be behind a mirror of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from trial.shell import Failed

APT = Path("/etc/apt")
CERTIFICATES = "usr/local/share/of-the-host.pem"  # what pip trusts; apt uses http here, or its own settings


def find_release() -> str:
    """The code name of this machine's Debian. Raises Failed for another system."""
    told = Path("/etc/os-release").read_text("utf-8")
    name = re.search(r"^VERSION_CODENAME=(\w+)", told, re.MULTILINE)
    if "\nID=debian" not in f"\n{told}" or not name:
        raise Failed("needs a Debian machine, whose sources of packages it uses")
    return name[1]


def find_mirror() -> str:
    """The first mirror of /etc/apt. Raises Failed if there is none."""
    for file in sorted([APT / "sources.list", *(APT / "sources.list.d").glob("*")]):
        if file.suffix in (".list", ".sources") and file.is_file():
            found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", file.read_text("utf-8"), re.MULTILINE)
            if found:
                return found[1]
    raise Failed(f"{APT} names no source of packages")


def copy_sources(root: Path) -> None:
    """Give the machine this one's sources for apt and for pip."""
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for name in ("sources.list", "sources.list.d", "auth.conf.d", "keyrings", "trusted.gpg.d"):
        if (APT / name).is_dir():
            shutil.copytree(APT / name, root / "etc/apt" / name, dirs_exist_ok=True)
        elif (APT / name).exists():
            shutil.copy(APT / name, root / "etc/apt" / name)
    told = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    (root / "etc/apt/apt.conf.d/90of-the-host").write_text(told)
    (root / "etc/pip.conf").write_text(_write_pip_conf(root))


def _write_pip_conf(root: Path) -> str:
    words = [sys.executable, "-m", "pip", "config", "list"]
    given = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^(?:global|:env:)\.(index-url|cert|proxy|timeout)='(.*)'$", given, re.MULTILINE))
    if "cert" in found:
        shutil.copy(found["cert"], root / CERTIFICATES)
        found["cert"] = f"/{CERTIFICATES}"
    return "".join(["[global]\n", *(f"{name} = {value}\n" for name, value in found.items())])
