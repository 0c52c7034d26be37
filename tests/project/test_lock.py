"""The lock files: exact versions with hashes for every requirement of setup.cfg, and nothing else."""

from __future__ import annotations

import itertools
import re
import tomllib
from configparser import ConfigParser
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.running import ROOT

FOLDER = ROOT / "requirements"
EXTRAS = {"run": "", "test": "test", "granian": "granian"}
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
MACHINES = list(itertools.product(PLATFORMS, PYTHONS))
# Only a comment, a pin or a hash: no option (an index, a folder to search), no URL and no path fits.
LINE = re.compile(r"#.*|[a-z0-9-]+==[0-9a-z.]+( ; [^/@]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")

# Libraries whose private parts the code uses, and a module that does.
PRIVATE = {
    "celery": "warmer/worker/events.py",
    "gunicorn": "web/server/gathering.py",
    "kombu": "warmer/broker/transport.py",
    "prometheus-client": "warmer/observe/metric_files.py",
    "redis": "warmer/redis_client/cluster.py",
    "supervisor": "scripts/runner/supervisord.py",
    "urllib3": "warmer/telegram/connections.py",
}

Machine = dict[str, str]


def machine(platform: tuple[str, str], python: str) -> Machine:
    return {
        "sys_platform": platform[0],
        "platform_system": platform[0].capitalize(),
        "platform_machine": platform[1],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Returns each pin of the lock with its hashes."""
    text = re.sub(r"^#.*\n", "", (FOLDER / f"{lock}.lock").read_text("utf-8"), flags=re.MULTILINE)
    parts = [line.split("--hash=") for line in text.replace("\\\n", "").splitlines()]
    return [(Requirement(pin), hashes) for pin, *hashes in parts]


def pins(lock: str, on: Machine) -> dict[str, str]:
    """Returns the versions by name that the lock installs on that machine."""
    found = [pin for pin, _ in entries(lock) if pin.marker is None or pin.marker.evaluate(on)]
    names = [canonicalize_name(pin.name) for pin in found]
    assert sorted(set(names)) == sorted(names)
    return {name: str(pin.specifier).removeprefix("==") for name, pin in zip(names, found, strict=True)}


def wanted(lock: str) -> list[Requirement]:
    """Returns the requirements of setup.cfg and pyproject.toml that this lock has to contain."""
    if lock == "tools":
        lines = (FOLDER / "tools.in").read_text("utf-8").splitlines()
    else:
        project = ConfigParser()
        project.read(ROOT / "setup.cfg")
        extra = project["options.extras_require"][lock].splitlines() if EXTRAS[lock] else []
        builder = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
        lines = [*project["options"]["install_requires"].splitlines(), *extra, *builder]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_every_extra_has_its_lock() -> None:
    project = ConfigParser()
    project.read(ROOT / "setup.cfg")
    assert {*project["options.extras_require"], "run"} == set(EXTRAS)
    assert {path.stem for path in FOLDER.glob("*.lock")} == {*EXTRAS, "tools"}


@pytest.mark.parametrize("lock", [*EXTRAS, "tools"])
def test_every_requirement_is_locked_for_every_machine(lock: str) -> None:
    missing = []
    for here in [machine(*one) for one in MACHINES]:
        locked = pins(lock, here)
        asked = [one for one in wanted(lock) if not one.marker or one.marker.evaluate(here)]
        assert len(asked) >= 2
        missing += [
            (str(one), here) for one in asked if locked.get(canonicalize_name(one.name), "0") not in one.specifier
        ]
    assert missing == []


def test_a_library_whose_private_parts_are_used_is_allowed_in_its_locked_minor_version_only() -> None:
    allowed = {canonicalize_name(one.name): str(one.specifier) for one in wanted("run")}
    locked = {name: version.rpartition(".")[0] for name, version in pins("run", machine(*MACHINES[0])).items()}
    series = {name: re.escape(locked[name]) for name in PRIVATE}
    assert {
        name
        for name in PRIVATE
        if not re.fullmatch(rf"~={series[name]}\.\d+", allowed.get(canonicalize_name(name), ""))
    } == set()


def test_each_library_whose_private_parts_are_used_is_imported_where_the_table_says() -> None:
    modules = {name: (ROOT / file).read_text("utf-8") for name, file in PRIVATE.items()}
    imports = {name: rf"^from {name.replace('-', '_')}\b" for name in PRIVATE}
    assert [name for name in PRIVATE if not re.search(imports[name], modules[name], re.MULTILINE)] == []


def test_the_classifiers_name_the_pythons_that_the_locks_are_for() -> None:
    project = ConfigParser()
    project.read(ROOT / "setup.cfg")
    assert re.findall(r"Python :: (3\.\d+)$", project["metadata"]["classifiers"], re.MULTILINE) == PYTHONS
    assert project["options"]["python_requires"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_requirements_of_an_extra_of_a_requirement_are_locked(lock: str) -> None:
    names = {canonicalize_name(pin.name) for pin, _ in entries(lock)}
    for requirement in wanted(lock):
        for extra in requirement.extras:
            brought = [Requirement(line) for line in requires(requirement.name) or ()]
            only = [one for one in brought if "extra ==" in str(one.marker)]
            added = {one.name for one in only if one.marker and one.marker.evaluate({"extra": extra})}
            assert added
            assert set(map(canonicalize_name, added)) <= names


@pytest.mark.parametrize("lock", [*EXTRAS, "tools"])
def test_every_pin_is_exact_and_has_hashes(lock: str) -> None:
    assert entries(lock)
    for pin, hashes in entries(lock):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin


@pytest.mark.parametrize("lock", [*EXTRAS, "tools"])
def test_a_lock_contains_no_host_no_url_and_no_path(lock: str) -> None:
    lines = (FOLDER / f"{lock}.lock").read_text("utf-8").splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert {line for line in lines if line.startswith("#")} <= {
        "# This file was autogenerated by uv via the following command:",
        "#    ./scripts/lock",
    }


def test_all_extras_can_be_installed_together() -> None:
    for here in MACHINES:
        run, test, granian = (pins(lock, machine(*here)) for lock in ("run", "test", "granian"))
        assert run.items() <= test.items(), here
        assert run.items() <= granian.items(), here
        assert {name for name, version in granian.items() if test.get(name, version) != version} == set(), here
