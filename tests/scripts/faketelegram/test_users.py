"""The demo's users, the file of users, and the documentation."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image

from faketelegram import FAULTS, FakeTelegram, demo_users
from faketelegram.users import FIELDS, load
from tests.scripts.faketelegram.calling import call, download, get_file, make_png
from tests.support.running import ROOT

DOCUMENTATION = (ROOT / "docs" / "fake-telegram.md").read_text(encoding="utf-8")


def test_the_demo_world_has_24_people_with_photos() -> None:
    with FakeTelegram(users=demo_users()) as fake:
        accounts = fake.world.accounts()
        assert len({account.id for account in accounts}) == 24 == len({account.name for account in accounts})
        assert all(call(fake, "getUserProfilePhotos", user_id=one.id)["result"]["total_count"] for one in accounts[:3])
        assert len({fake.world.file_id(account.id) for account in accounts}) == 24


def test_the_documented_users_file_loads(tmp_path: Path) -> None:
    (tmp_path / "ann.jpg").write_bytes(make_png())
    example = re.search(r"```json\n(\[.*?\])\n```", DOCUMENTATION, re.DOTALL)
    assert example is not None
    (tmp_path / "users.json").write_text(example[1], encoding="utf-8")
    with FakeTelegram(users=load(tmp_path / "users.json")) as fake:
        path = get_file(fake, fake.world.file_id(42, 160))["result"]["file_path"]
        assert Image.open(io.BytesIO(download(fake, path).content)).size == (160, 160)


def test_every_fault_is_documented_with_its_options() -> None:
    rows = {line.split("`")[1]: line for line in DOCUMENTATION.splitlines() if line.startswith("| `")}
    assert [name for name in FAULTS if name not in rows] == []
    options = [(name, option) for name, fault in FAULTS.items() for option in fault.options]
    assert [(name, option) for name, option in options if f"`{option}`" not in rows[name]] == []


def test_every_field_of_a_user_is_documented() -> None:
    assert [name for name in FIELDS if f"| `{name}` |" not in DOCUMENTATION] == []
