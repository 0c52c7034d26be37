"""Users as JSON describes them, in users.json and in `POST /_fake/users`, and the users of the demo.

[{"id": 42, "first_name": "Ann", "last_name": "Lee", "username": "annlee", "photo": "ann.jpg"},
 {"id": 43, "first_name": "Bob", "photo": false},
 {"id": -1001234567890, "title": "Our channel", "kind": "channel"}]
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from faketelegram import fields, pictures
from faketelegram.accounts import Account, Kind
from faketelegram.fields import FieldError
from faketelegram.world import DRAWN, PictureSource

TEXTS = ("first_name", "last_name", "username", "title", "kind")
FIELDS = ("id", *TEXTS, "photo", "public_only")


class UserSpec(NamedTuple):
    """A user, group or channel before it joins a world."""

    account: Account
    picture: PictureSource | None = DRAWN


def parse(item: object, read_photo: Callable[[str], bytes]) -> UserSpec:
    """One JSON object; `read_photo` turns the text in `photo` into bytes."""
    if not isinstance(item, dict):
        raise FieldError("user", f"must be an object with an id, not {item!r}")
    unknown = sorted(str(key) for key in set(item) - set(FIELDS))
    if unknown:
        raise FieldError(unknown[0], f"is no field of a user; the fields are {', '.join(FIELDS)}")
    if "id" not in item:
        raise FieldError("id", "is missing")
    id = fields.account_id(item["id"])
    words: dict[str, Any] = {name: fields.text(item[name], name) for name in TEXTS if name in item}
    kinds = [kind for kind in get_args(Kind) if (kind == "private") == (id > 0)]
    kind = words.pop("kind", "private" if id > 0 else "supergroup")
    if kind not in kinds:
        raise FieldError("kind", f"must be one of {', '.join(kinds)}, not {kind!r}")
    name = "first_name" if id > 0 else "title"
    if not words.get(name):
        raise FieldError(name, "is missing or empty")
    public_only = fields.flag(item.get("public_only", False), "public_only")
    account = Account(id, cast(Kind, kind), **words, public_only=public_only)
    return UserSpec(account, _read_picture(item, read_photo))


def _read_picture(item: dict[str, object], read_photo: Callable[[str], bytes]) -> PictureSource | None:
    photo = item.get("photo", True)
    if isinstance(photo, bool):
        return DRAWN if photo else None
    if not isinstance(photo, str):
        raise FieldError("photo", f"must be true, false, or a text, not {photo!r}")
    return pictures.squares(read_photo(photo))


def load(file: Path) -> list[UserSpec]:
    """The users in a file; photos are read from the file's folder. Raises FieldError."""

    def beside(name: str) -> bytes:
        try:
            return (file.parent / name).read_bytes()
        except OSError as error:
            raise FieldError("photo", f"{name} cannot be read: {error.strerror}") from error

    try:
        items = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FieldError("users", f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FieldError("users", f"{file} is not JSON: {error}") from error
    if not isinstance(items, list):
        raise FieldError("users", f"{file} must hold a list of users")
    return [_at(position, item, beside) for position, item in enumerate(items)]


def _at(position: int, item: object, read_photo: Callable[[str], bytes]) -> UserSpec:
    try:
        return parse(item, read_photo)
    except FieldError as error:
        raise error.inside(f"users[{position}]") from error


def demo_users() -> list[UserSpec]:
    """Two dozen people from all over the world, each with a drawn photo and the same id in every run."""
    return [UserSpec(Account(id, "private", *names)) for id, names in enumerate(DEMO_NAMES, 7_000_000_001)]


DEMO_NAMES = (
    ("Amara", "Okafor", "amara_okafor"),
    ("李", "小龙", "lixiaolong"),
    ("Zoë", "van der Berg", "zoevdb"),
    ("محمد", "الفارسي", "m_alfarsi"),
    ("Olena", "Шевченко", "olena_sh"),
    ("さくら", "田中", "sakura_t"),
    ("João", "Gonçalves", "joaog"),
    ("🌈 Robin", "", "robin_rainbow"),
    ("נועה", "לוי", "noalevi"),
    ("Priya", "Raghunathan", "priya_r"),
    ("김", "민준", "minjun_kim"),
    ("Søren", "Ångström", "soren_a"),
    ("Thảo", "Nguyễn", "thao_nguyen"),
    ("Мария", "Иванова", "maria_iv"),
    ("Γιώργος", "Παπαδόπουλος", "g_papado"),
    ("👩🏽‍🚀 Luna", "Reyes ✨", "luna_reyes"),
    ("สมชาย", "ใจดี", "somchai"),
    ("Ng", "", "ng_hm"),
    ("अनन्या", "शर्मा", "ananya_s"),
    ("Wolfeschlegelsteinhausenbergerdorff", "von und zu Hohenlohe-Waldenburg", "wolfe"),
    ("Aaliyah", "Mbeki", "aaliyah_m"),
    ("გიორგი", "ბერიძე", "giorgi_b"),
    ("Seán", "Ó Súilleabháin", "sean_os"),
    ("فاطمه", "رضایی", "fatemeh_r"),
)
