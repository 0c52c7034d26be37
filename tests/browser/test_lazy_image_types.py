"""lazy-image.js as a file to copy: its types, its documentation, and the effects of importing it."""

import json
import re

from tests.support.npm import ROOT, STATIC, check_types, run
from tests.support.programs import find_program

SCRIPT = (STATIC / "lazy-image.js").read_text("utf-8")
TYPES = (STATIC / "lazy-image.d.ts").read_text("utf-8")
GUIDE = (ROOT / "docs" / "lazy-image.md").read_text("utf-8")
OBSERVED = re.findall(r"'([a-z-]+)'", SCRIPT.partition("observedAttributes = [")[2].partition("]")[0])


def evaluate_module(expression: str) -> object:
    """Returns the value of a JavaScript expression in Node, where `all` holds the exports of lazy-image.js."""
    code = (
        f"import({json.dumps(str(STATIC / 'lazy-image.js'))}).then((all) => console.log(JSON.stringify({expression})))"
    )
    done = run([find_program("node"), "--input-type=module", "-e", code], ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_scripts_pass_a_strict_type_check() -> None:
    files = sorted(path.name for path in STATIC.glob("*.js"))
    assert "lazy-image.js" in files
    assert check_types(STATIC, *files, "lazy-image.d.ts") == ""


def test_importing_the_module_on_a_server_has_no_effect() -> None:
    assert evaluate_module("[all.defineLazyImage('my-avatar') ?? null, all.initials('Ann Lee')]") == [None, "AL"]


def test_the_types_name_every_export() -> None:
    declared = re.findall(r"^export (?:class|function) (\w+)", TYPES, re.MULTILINE)
    assert evaluate_module("Object.keys(all).sort()") == sorted(declared)


def test_the_types_name_every_attribute() -> None:
    attributes = TYPES.partition("interface LazyImageAttributes {")[2].partition("}")[0]
    assert sorted(re.findall(r"^  '?([a-z-]+)'?\?:", attributes, re.MULTILINE)) == sorted(["class", *OBSERVED])


def test_the_script_is_one_file_without_network_addresses_imports_or_eval() -> None:
    assert re.findall(r"https?://|^import |url\(|innerHTML|\beval\b", SCRIPT, re.MULTILINE) == []


def test_the_guide_names_every_attribute_part_property_and_event() -> None:
    kinds = {
        "attribute": OBSERVED,
        "part": [*re.findall(r"makePart\('\w+', '(\w+)'\)", SCRIPT), "picture"],
        "property": re.findall(r"var\((--lazy-image-[a-z]+)", SCRIPT),
        "event": re.findall(r"new (?:Custom)?Event\('(\w+)'", SCRIPT),
    }
    assert [kind for kind, names in kinds.items() if len(set(names)) < 3] == []
    assert [name for names in kinds.values() for name in names if f"`{name}`" not in GUIDE] == []
