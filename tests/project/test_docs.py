"""The documentation names every setting, metric, signal, key and script, and its links work."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from standardwebhooks import Webhook

import warmer.observe.metrics
import web.observe.metrics
from tests.conftest import SIGNING_KEY
from tests.support.programs import find_program, give_up
from tests.support.receiver import SECRET
from tests.support.running import ROOT
from warmer.keys import Keys
from warmer.photo_urls import sign
from warmer.settings import Settings

DOCS = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
SETTINGS_PAGE = DOCS[ROOT / "docs" / "settings.md"]
WEBHOOKS = DOCS[ROOT / "docs" / "webhooks.md"]
BACKEND = DOCS[ROOT / "docs" / "backend.md"]
ARCHITECTURE = DOCS[ROOT / "docs" / "architecture.md"]
EXAMPLES = dict(re.findall(r"^#?\s*([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
SETTINGS = sorted(name.upper() for name in Settings.model_fields if name not in ("demo", "page_key"))


def test_every_setting_is_on_the_settings_page() -> None:
    assert [name for name in SETTINGS if f"`{name}`" not in SETTINGS_PAGE] == []


def test_env_example_names_exactly_the_settings() -> None:
    assert sorted(EXAMPLES) == SETTINGS


def test_env_example_shows_the_defaults() -> None:
    wrong = []
    for name in SETTINGS:
        default = Settings.model_fields[name.lower()].default
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        text = text.lower() if isinstance(default, bool) else text
        shown = EXAMPLES[name].split("#")[0].strip().removeprefix("./")
        if (
            isinstance(default, str | int | float | tuple | Path)
            and text
            and shown not in (text, text.removesuffix(".0"))
        ):
            wrong.append((name, shown, text))
    assert wrong == []


def test_every_metric_is_documented() -> None:
    assert warmer.observe.metrics.WARMINGS
    assert web.observe.metrics.PHOTOS
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("avatar_")}
    gauges = set(re.findall(r'"(avatar_[a-z_]+)"', (ROOT / "web" / "observe" / "metrics.py").read_text()))
    documented = set(re.findall(r"`(avatar_[a-z_]+?)(?:_total)?(?:\{[^`]*)?`", "\n".join(DOCS.values())))
    assert ours | gauges <= documented


def test_every_signal_is_documented() -> None:
    names = re.findall(r"^([a-z_]+) = _signals", (ROOT / "web" / "signals.py").read_text(), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in ARCHITECTURE] == []


def test_every_key_is_documented_in_keys_py() -> None:
    keys = Keys("1")
    schema = Path(str(sys.modules["warmer.keys"].__file__)).read_text("utf-8")
    patterns = {
        keys.variant("F", 80, "webp"): "{fid}:<size>.<fmt>",
        keys.preview("F"): "{fid}:preview",
        keys.path("F"): "{fid}:path",
        keys.unavailable("F"): "{subject}:unavailable",
        keys.failures("F"): "{subject}:failures",
        keys.failing("F"): "{subject}:failing",
        keys.negative_count("F"): "{subject}:negative_count",
        keys.lease("F"): "{subject}:lease",
        keys.refresh("F"): "{subject}:refresh",
        keys.refreshed("F"): "{subject}:refreshed",
        keys.enqueued("F", "hot"): "{subject}:enqueued:<lane>",
        keys.wanted("F"): "{fid}:wanted",
        keys.people("F"): "{fid}:people",
        keys.crashes("F"): "{subject}:crashes",
        keys.forgotten("F"): "{hash}:forgotten",
        keys.limits + ":x": "limits:…",
        keys.remembered: "remembered:{…recent}",
        keys.person(1): "person:<id>",
        keys.outage("getFile"): "outage:<kind>",
        keys.verdict("getFile"): "verdict:<call>",
        keys.slot("tick"): "slot:<task>",
        keys.stats(1): "stats:<minute>",
        keys.failed: "{failed}:subjects",
        keys.reasons: "{failed}:reasons",
        keys.events(1): "events:{…person:<id>}",
        keys.sending(1): "sending:{…person:<id>}",
        keys.undelivered: "undelivered",
        keys.receiver: "receiver",
        keys.dead: "{dead}:people",
        keys.dead_reasons: "{dead}:reasons",
        keys.worker("w"): "worker:<name>",
        keys.started("w"): "started:<name>",
    }
    assert all(key.startswith("v2:1:") for key in patterns)
    assert [pattern for pattern in patterns.values() if f"`{pattern}`" not in schema] == []


def test_the_worked_example_of_the_signature_is_correct() -> None:
    example = re.search(r"key `([^`]+)`.*?message `([^`]+)`.*?signature `([^`]+)`", BACKEND, re.DOTALL)
    assert example
    assert sign(example[1], example[2]) == example[3]


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_documented_sign_functions_agree_with_ours(language: str) -> None:
    code = next(block for block in re.findall(rf"```{language}\n(.*?)```", BACKEND, re.DOTALL) if "def sign" in block
                or "function sign" in block)  # fmt: skip
    interpreter = [sys.executable, "-c"] if language == "python" else [find_program("node"), "-e"]
    show = "print" if language == "python" else "console.log"
    call = f'{show}(sign("{SIGNING_KEY}", "user:42"))'
    done = subprocess.run([*interpreter, code + "\n" + call], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sign(SIGNING_KEY, "user:42")


def test_the_documented_verifier_in_javascript_agrees_with_the_library() -> None:
    code = next(
        block for block in re.findall(r"```javascript\n(.*?)```", WEBHOOKS, re.DOTALL) if "function verify" in block
    )
    body, now = '{"type": "photo.gone"}', datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1,AAAA {Webhook(SECRET).sign('msg_1', now, body)}",
    }
    old = headers | {"webhook-timestamp": str(int(now.timestamp()) - 600)}
    cases = [(SECRET, headers, body), (SECRET, headers, body + " "), (SECRET[:-4] + "AAA=", headers, body)]
    cases += [(SECRET, old, body), (SECRET, {}, body)]
    calls = "\n".join(f"console.log(verify(...{json.dumps(case)}));" for case in cases)
    done = subprocess.run([find_program("node"), "-e", code + calls], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["true", "false", "false", "false", "false"]


def test_every_link_to_a_file_works() -> None:
    link = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")
    links = [(path, target) for path, text in DOCS.items() for target in link.findall(text)]
    assert [(path.name, target) for path, target in links if not (path.parent / target).exists()] == []


def test_every_function_that_code_or_the_architecture_page_names_is_in_that_file() -> None:
    place = re.compile(r"(?<!tests/)\b((?:warmer|web)/[\w/]+\.(?:py|lua))\)?(?:, `(?:\w+\.)?(\w+)`)?")
    code = [path.read_text("utf-8") for room in ("warmer", "web") for path in (ROOT / room).rglob("*.*[ya]")]
    named = {found for text in [*code, ARCHITECTURE] for found in place.findall(text)}
    texts = {file: (ROOT / file).read_text("utf-8") for file, _ in named}  # raises FileNotFoundError for a wrong path
    assert any(name for _, name in named)
    assert [name for file, name in named if name and not re.search(rf"(def|class) {name}\b", texts[file])] == []


def test_the_built_site_loads_nothing_from_other_hosts() -> None:
    site = ROOT / "build" / "docs"
    if not site.exists():
        give_up("scripts/check builds the site first")
    pages = {path.name: path.read_text("utf-8") for path in site.glob("*.html")}
    routes = pages["http.html"].split("Every route", 1)[1]
    assert "/api/photos/resolve" in routes
    assert ".. http:" not in routes  # the generator's output was parsed
    pictures = {name: re.findall(r"<img[^>]*\ssrc=\"([^\"]+)", page) for name, page in pages.items()}
    assert [src for srcs in pictures.values() for src in srcs if not (site / src).exists()] == []
    loads = r"<(?:script|img|iframe)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*rel=\"stylesheet\"[^>]*href=\"(?:https?:)?//"
    assert [name for name, page in pages.items() if re.search(loads, page)] == []


def test_each_row_and_paragraph_that_changes_a_user_of_redis_saves_it_for_its_next_start() -> None:
    changes = [line for text in DOCS.values() for line in text.splitlines() if re.search(r"`ACL SETUSER [^`]+`", line)]
    assert changes
    assert [line for line in changes if "`ACL SAVE`" not in line] == []
    told = [path.name for path, text in DOCS.items() if "ACL SETUSER" in text and "`ACL SAVE`" not in text]
    assert told == []


def test_every_script_that_the_pages_name_exists() -> None:
    lines = "\n".join(DOCS.values()).splitlines()
    called = {word.removeprefix("./") for line in lines for word in _words(line) if "](" not in word}
    assert {"scripts/run", "scripts/test"} <= called
    assert [name for name in called if name.startswith("scripts/") and not (ROOT / name).exists()] == []


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line.replace("`", " "))
    except ValueError:  # an apostrophe in prose
        return []
