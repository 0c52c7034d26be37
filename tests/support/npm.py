"""Packages from npm, installed once: compiler, bundlers, frameworks, both versions of React; and <lazy-image>."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.support.programs import find_program, give_up

ROOT = Path(__file__).resolve().parents[2]
MINI_APP = ROOT / "examples" / "mini-app"
STATIC = ROOT / "web" / "static"
REACT_18 = ROOT / "tests" / "support" / "react"
FRAMEWORKS = ROOT / "tests" / "support" / "frameworks"
HTML = ROOT / "tests" / "support" / "html"
PACKAGE = "avatar-warmer-lazy-image"
TSC = (
    *("--noEmit", "--strict", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--pretty", "false"),
    *("--module", "esnext", "--moduleResolution", "bundler", "--allowJs", "--checkJs", "--jsx", "react-jsx"),
)
ESBUILD = ("--bundle", "--jsx=automatic", "--define:process.env.NODE_ENV='development'")  # with React's warnings


def install(folder: Path) -> Path:
    """Install the packages of the folder's package-lock.json. Returns the path of `node_modules`."""
    npm, modules, lock = find_program("npm"), folder / "node_modules", folder / "package-lock.json"
    with (folder / ".npmrc").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # only one of several test processes installs
        installed = modules / ".installed"
        if not installed.exists() or installed.read_text() != lock.read_text():
            done = run([npm, "ci", "--prefer-offline", "--no-audit", "--no-fund"], folder)
            if done.returncode:
                give_up(f"npm ci: {done.stderr}")
            installed.write_text(lock.read_text())
    return modules


def install_package(folder: Path) -> Path:
    """Pack <lazy-image>, and install the tarball in the folder. Returns the folder of the installed package."""
    npm = find_program("npm")
    (folder / "package.json").write_text('{"private": true}')
    packed = run([npm, "pack", "--silent", str(STATIC)], folder)
    assert packed.returncode == 0, packed.stderr
    done = run([npm, "install", "--offline", "--no-audit", "--no-fund", f"./{packed.stdout.strip()}"], folder)
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / PACKAGE


def add_modules(folder: Path, installed: Path, package: Path) -> None:
    """Add `node_modules` to the folder: links to what is installed, and <lazy-image>, which finds React beside it."""
    modules = folder / "node_modules"
    modules.mkdir()
    for path in installed.iterdir():
        if path.name != PACKAGE and not path.name.startswith("."):
            (modules / path.name).symlink_to(path)
    shutil.copytree(package, modules / PACKAGE)


def build_mini_app() -> Path:
    """Build the example as its README says. Returns the folder."""
    install(MINI_APP)
    done = run(["npm", "run", "build"], MINI_APP)
    assert done.returncode == 0, done.stdout + done.stderr
    return MINI_APP / "public"


def check_types(folder: Path, *files: str) -> str:
    """Returns the compiler's errors for the files."""
    compiler = install(MINI_APP) / ".bin" / "tsc"
    return run([str(compiler), *TSC, *files], folder).stdout


def bundle(folder: Path, file: str, *options: str) -> str:
    """Returns one script with the file and its imports."""
    bundler = install(MINI_APP) / ".bin" / "esbuild"
    done = run([str(bundler), file, *ESBUILD, *options], folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def find_invalid_html(folder: Path, pages: dict[str, str]) -> str:
    """Write these pages into the folder. Returns the validator's report, empty if all are valid.

    A redundant role is no finding: Safari takes a <ul> without bullets for a list only if it says so.
    """
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    validator, config = install(HTML) / ".bin" / "html-validate", HTML / "validate.json"
    done = run([str(validator), "--config", str(config), "--formatter", "text", str(folder / "*.html")], ROOT)
    return done.stdout + done.stderr


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
