"""The import rules of the architecture, checked in the code."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.running import ROOT

OURS = ("warmer", "web")
# The rooms that each room of `warmer` may import, besides the shared vocabulary in the root.
VOCABULARY = {
    "settings", "sources", "open_files", "errors", "keys", "slots", "photo", "photo_urls", "cache_tags", "etag",
    "formats", "names", "deadline", "request_id", "redaction", "redis_url", "redis_errors", "http_url", "repeater",
    "log_line",
}  # fmt: skip
ROOMS: dict[str, set[str]] = {
    "redis_client": set(),
    "state": set(),
    "images": set(),
    "telegram": set(),
    "broker": {"state"},
    "observe": {"broker", "state"},
    "flow": {"state", "telegram"},
    "webhook": {"flow", "state", "telegram"},
    "celery": {"broker", "observe"},
    "wiring": {"celery", "broker", "flow", "images", "observe", "redis_client", "state", "telegram", "webhook"},
    "worker": {"wiring", "celery", "broker", "flow", "observe", "redis_client", "state", "telegram"},
    "cli": {"wiring", "broker", "flow", "observe", "redis_client", "state"},
}
# The rooms of `web` that each room of it may import, and those of `warmer`, besides the vocabulary. A module in the
# root of `web` is a room of its own; `__init__` makes the app.
WEB: dict[str, set[str]] = {
    "compression": set(),
    "context": set(),
    "problems": set(),
    "signals": set(),
    "redis_breaker": set(),
    "observe": {"context", "signals"},
    "photos": {"observe", "problems", "signals"},
    "receivers": {"context", "signals"},
    "api": {"compression", "context", "observe", "photos", "problems", "redis_breaker", "signals"},
    "pages": {"api", "compression", "context", "problems"},
    "wiring": {"api", "context", "observe", "pages", "photos", "receivers", "redis_breaker"},
    "__init__": {
        "api",
        "compression",
        "context",
        "observe",
        "pages",
        "photos",
        "problems",
        "receivers",
        "redis_breaker",
        "wiring",
    },
    "server": {"__init__", "photos", "problems", "signals", "wiring"},
}
BACK_OF_WEB: dict[str, set[str]] = {
    "redis_breaker": {"redis_client"},
    "observe": {"broker", "observe", "state"},
    "photos": {"broker", "state"},
    "receivers": {"broker"},
    "api": {"flow", "observe", "state"},
    "pages": {"broker", "observe", "state"},
    "wiring": {"broker", "celery", "flow", "observe", "redis_client", "state"},
    "server": {"broker", "observe"},
}
# The packages that each folder of `scripts` may import; the files beside the folders may import all of them.
SCRIPTS: dict[str, set[str]] = {
    "faketelegram": set(),
    "mutants": set(),
    "runner": {"faketelegram", "warmer"},
    "benches": {"faketelegram", "runner", "warmer", "web"},
    "planning": {"benches", "faketelegram", "runner", "warmer", "web"},
    "screenshots": {"benches", "warmer", "web"},
    "trial": {"runner"},
}
NOTHING_OF_OURS = ("errors", "photo", "etag", "formats", "slots", "images.orientation")
OUTSIDE: dict[str, set[str]] = {  # the only third-party packages that these modules may import
    **{f"images.{name}": set() for name in ("headers", "jpeg", "png_webp", "vp8l", "orientation", "memory")},
    **{f"images.{name}": {"PIL"} for name in ("decode", "render", "steps")},
    **{f"flow.{name}": set() for name in ("warm", "profile", "steps")},
    **{f"state.{path.stem}": {"redis"} for path in (ROOT / "warmer" / "state").glob("*.py")},
    "settings": {"pydantic", "pydantic_settings", "dotenv"},
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def find(name: str) -> Path:
    """Returns the file of a module of `warmer`, named from there."""
    return ROOT.joinpath("warmer", *name.split(".")).with_suffix(".py")


def imports_of(path: Path) -> set[str]:
    """Returns every module that the file imports, as written."""
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


def foreign_to(name: str) -> set[str]:
    """Returns the third-party packages that a module of `warmer` imports."""
    return packages_of(find(name)) - set(sys.stdlib_module_names) - set(OURS)


def room_of(module: str) -> str | None:
    """Returns the room of `warmer` that a module is in, None for the vocabulary and for other packages."""
    top, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if top == "warmer" and name and name not in VOCABULARY else None


def test_a_room_of_warmer_imports_only_the_rooms_that_the_table_allows() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {imported}"
        for path in modules("warmer")
        if path.parent != ROOT / "warmer" or path.stem != "__init__"
        for imported in sorted(imports_of(path))
        if (room := room_of(imported))
        and room != (own := path.relative_to(ROOT / "warmer").with_suffix("").parts[0])
        and room not in ROOMS.get(own, set())
    ]
    assert offenders == []
    rooms = {path.relative_to(ROOT / "warmer").with_suffix("").parts[0] for path in modules("warmer")}
    assert rooms - VOCABULARY - {"__init__"} == set(ROOMS)


def list_rooms_of_web() -> dict[Path, str]:
    """The room of every module of `web`."""
    return {path: path.relative_to(ROOT / "web").with_suffix("").parts[0] for path in modules("web")}


def room_of_web(module: str) -> str | None:
    """The room of `web` that an imported name is in, None outside of `web`."""
    top, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return None if top != "web" else name if name in WEB else "__init__"


def test_every_room_of_web_is_in_the_table_and_imports_only_the_rooms_that_the_tables_allow() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {imported}"
        for path, own in list_rooms_of_web().items()
        for imported in sorted(imports_of(path))
        if ((room := room_of_web(imported)) and room != own and room not in WEB.get(own, set()))
        or ((back := room_of(imported)) and back not in BACK_OF_WEB.get(own, set()))
    ]
    assert offenders == []
    assert set(list_rooms_of_web().values()) == set(WEB)


@pytest.mark.parametrize("table", [ROOMS, WEB, SCRIPTS], ids=["warmer", "web", "scripts"])
def test_a_table_of_rooms_has_no_cycle(table: dict[str, set[str]]) -> None:
    TopologicalSorter({name: allowed & set(table) for name, allowed in table.items()}).prepare()  # raises CycleError


def list_script_modules() -> dict[str, Path]:
    """Returns every module below `scripts` by the name under which the others import it."""
    folder = ROOT / "scripts"
    names = {".".join(path.relative_to(folder).with_suffix("").parts): path for path in folder.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in names.items() if "peers" not in path.parts}


def test_every_folder_of_scripts_is_in_the_table_and_imports_only_the_packages_that_it_allows() -> None:
    ours = {name.partition(".")[0] for name in list_script_modules()} | set(OURS)
    offenders = [
        f"{name}: {imported}"
        for name, path in list_script_modules().items()
        if (own := name.partition(".")[0]) in SCRIPTS
        for imported in sorted(packages_of(path) & ours - {own} - SCRIPTS[own])
    ]
    assert offenders == []
    assert {path.parent.name for path in (ROOT / "scripts").glob("*/__init__.py")} == set(SCRIPTS)


def test_the_modules_have_no_import_cycle() -> None:
    known = list_script_modules()
    for package in OURS:
        names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(package)}
        known |= {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        found = imports_of(path) & set(known)
        # `from a.b import c` counts as an import of the module a.b.c if there is one, else of a.b.
        graph[name] = {one for one in found if not any(other.startswith(f"{one}.") for other in found)} - {name}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_values_keys_and_errors_import_no_module_of_ours() -> None:
    assert [name for name in NOTHING_OF_OURS if packages_of(find(name)) & set(OURS)] == []
    ours = {name for name in imports_of(find("keys")) if name.partition(".")[0] in OURS}
    assert ours == {
        "warmer.slots",
        "warmer.slots.move_to_slot_of",
    }  # the arithmetic of their names, no part of the service


def test_a_step_imports_at_most_one_third_party_library_and_the_flow_none() -> None:
    assert {name: foreign_to(name) - allowed for name, allowed in OUTSIDE.items() if foreign_to(name) - allowed} == {}


def test_the_flow_has_at_most_40_lines() -> None:
    assert len(find("flow.warm").read_text().splitlines()) <= 40


def test_warmer_imports_nothing_of_the_web_tier() -> None:
    web_context = {"web", "flask", "blinker", "flask_cors"}
    assert [path.name for path in modules("warmer") if packages_of(path) & web_context] == []


def test_the_web_tier_imports_no_telegram_client_no_pillow_and_no_tasks() -> None:
    backstage = re.compile(r"(PIL|requests|warmer\.(telegram|images|wiring|worker|cli))\b")
    assert [path.name for path in modules("web") if any(map(backstage.match, imports_of(path)))] == []


def test_only_the_command_imports_click_and_rich_and_no_room_imports_the_command() -> None:
    others = [path for package in OURS for path in modules(package) if path.parent != ROOT / "warmer" / "cli"]
    assert not any({"click", "rich"} & packages_of(path) for path in others)
    assert not any(name.startswith("warmer.cli") for path in others for name in imports_of(path))


def test_a_lookup_publishes_to_the_hot_lane_and_receivers_to_the_others() -> None:
    callers = {path.stem: set(re.findall(r"publisher\.(publish\w*)", path.read_text())) for path in modules("web")}
    hot = {name for name, calls in callers.items() if "publish_hot" in calls}
    others = {name for name, calls in callers.items() if calls - {"publish_hot"}}
    assert (hot, others) == ({"lookup"}, {"receivers"})


def test_senders_and_tasks_share_the_names_of_the_tasks() -> None:
    named = re.compile(r"""(?:send_task\(|\.task\(name=|"task":)\s*([^\s,)]+)""")
    paths = [ROOT / "celeryconfig.py", *(path for package in OURS for path in modules(package))]
    names = {path.stem: found for path in paths if (found := named.findall(path.read_text("utf-8")))}
    tasks = set(names.pop("tasks"))
    assert set(names) == {"celeryconfig", "publish"}
    assert {name for found in names.values() for name in found} == tasks
    assert all(name.isidentifier() for name in tasks)  # an editor finds where else a constant is used, but no text


def test_the_parts_of_the_web_tier_are_made_in_its_wiring_alone() -> None:
    made = re.compile(r"\b(Budget|Forget|Keys|MinuteStats|PhotoStore|Publisher|Schedule|Waiting)\(")
    assert {path.stem for path in modules("web") if made.search(path.read_text("utf-8"))} == {"wiring"}


def test_only_the_settings_and_the_wiring_touch_the_token() -> None:
    holders = {path.stem for package in OURS for path in modules(package) if "telegram_bot_token" in path.read_text()}
    assert holders == {"settings", "wiring"}  # the wiring passes it from the settings to the client


def test_the_key_prefix_is_spelled_in_one_file() -> None:
    spelled = [path.name for package in OURS for path in modules(package) if '"v2:' in path.read_text()]
    assert spelled == ["keys.py"]


def list_functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]


def test_functions_stay_under_40_lines_and_files_under_250() -> None:
    paths = [*modules("warmer"), *modules("web"), *sorted((ROOT / "scripts").rglob("*.py"))]
    long_files = [path.name for path in paths if path.read_text("utf-8").count("\n") >= 250]
    functions = [(path.name, node) for path in paths for node in list_functions(path)]
    long_functions = [(name, node.name) for name, node in functions if (node.end_lineno or 0) - node.lineno >= 39]
    assert (long_files, long_functions) == ([], [])
