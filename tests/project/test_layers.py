"""Who may import whom: the arrows of the architecture, read from the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("warmer", "web")
NOTHING_OF_OURS = ("errors", "photo", "keys", "orientation", "memory")
STANDARD_LIBRARY_ALONE = ("headers", "jpeg_header", "chunk_headers", "orientation", "memory", "room")
ONE_OUTSIDE_THING = {
    "images": "PIL",
    "steps": "PIL",
    "claim": "redis",
    "store": "redis",
    "budget": "redis",
    "due": "redis",
    "partners": "redis",
    "profiles": "redis",
    "scripts": "redis",
    "settings": "pydantic",
}
RELATED = {"pydantic": {"pydantic_settings", "dotenv"}}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).glob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Every module that the file imports, as written."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def packages_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("name", NOTHING_OF_OURS)
def test_values_keys_and_errors_import_nothing_of_ours(name: str) -> None:
    assert not packages_of(ROOT / "warmer" / f"{name}.py") & set(OURS)


@pytest.mark.parametrize(("name", "outside"), ONE_OUTSIDE_THING.items())
def test_a_step_knows_one_outside_thing(name: str, outside: str) -> None:
    foreign = packages_of(ROOT / "warmer" / f"{name}.py") - set(sys.stdlib_module_names) - set(OURS)
    assert foreign - RELATED.get(outside, set()) <= {outside}


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ALONE)
def test_what_is_read_before_pillow_needs_the_standard_library_alone(name: str) -> None:
    assert packages_of(ROOT / "warmer" / f"{name}.py") <= set(sys.stdlib_module_names) | {"warmer"}


def test_the_flow_imports_no_library_at_all() -> None:
    for name in ("warm", "follow", "desk"):
        assert packages_of(ROOT / "warmer" / f"{name}.py") <= set(sys.stdlib_module_names) | {"warmer"}


def test_the_flow_is_told_in_at_most_40_lines() -> None:
    assert len((ROOT / "warmer" / "warm.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize("path", modules("warmer"), ids=lambda path: path.stem)
def test_the_back_knows_nothing_of_the_web(path: Path) -> None:
    assert not packages_of(path) & {"web", "flask", "blinker", "flask_cors"}


@pytest.mark.parametrize("path", modules("web"), ids=lambda path: path.stem)
def test_the_web_knows_no_telegram_no_pillow_and_no_tasks(path: Path) -> None:
    backstage = {f"warmer.{name}" for name in ("telegram", "images", "steps", "wiring", "tasks")}
    assert not imports_of(path) & {"PIL", "requests", *backstage}


def test_only_the_command_knows_click_and_rich_and_nobody_imports_it() -> None:
    others = [path for package in OURS for path in modules(package)]
    assert not any({"click", "rich"} & packages_of(path) for path in others)
    assert not any(name.startswith("warmer.cli") for path in others for name in imports_of(path))


@pytest.mark.parametrize("path", modules("warmer/cli"), ids=lambda path: path.stem)
def test_the_command_knows_nothing_of_the_web(path: Path) -> None:
    assert not packages_of(path) & {"web", "flask", "blinker"}


def test_only_receivers_ask_the_queue() -> None:
    askers = {path.stem for path in modules("web") if "publisher.ask" in path.read_text()}
    assert askers == {"receivers"}


def test_only_one_class_and_the_settings_hold_the_token() -> None:
    holders = {path.stem for package in OURS for path in modules(package) if "telegram_bot_token" in path.read_text()}
    assert holders == {"settings", "wiring"}  # wiring hands it from the one to the other, unopened


def test_importing_the_web_loads_neither_pillow_nor_the_telegram_client() -> None:
    code = "import sys, web; print(sorted({'PIL', 'requests', 'warmer.telegram', 'warmer.tasks'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_key_is_spelled_in_one_place() -> None:
    spelled = [path.name for package in OURS for path in modules(package) if '"v1:' in path.read_text()]
    assert spelled == ["keys.py"]


@pytest.mark.parametrize(
    "path",
    [*modules("warmer"), *modules("warmer/cli"), *modules("web"), *sorted((ROOT / "scripts").rglob("*.py"))],
)
def test_functions_stay_under_40_lines_and_files_under_250(path: Path) -> None:
    text = path.read_text("utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert text.count("\n") < 250
    assert all((node.end_lineno or 0) - node.lineno < 40 for node in functions)


def test_the_linter_and_the_type_checker_are_content() -> None:
    subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, check=True)
