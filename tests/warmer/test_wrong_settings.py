"""Wrong settings: an error names the variable in one line and reveals no secret."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from tests.support.setting import Set, env, refuse
from warmer.errors import ConfigError
from warmer.settings import Settings, load_settings_or_exit

__all__ = ["env"]

ANYTHING_GOES = {"DATA_DIR"}


@pytest.mark.parametrize("name", ["TELEGRAM_BOT_TOKEN", "REDIS_URL", "API_KEYS", "URL_SIGNING_KEYS"])
def test_a_missing_required_setting_is_named(env: Set, name: str) -> None:
    lines = [refuse(env, name, value) for value in (None, "")]
    assert [line.partition(" (looked in ")[0] for line in lines] == [f"{name}: is missing"] * 2


UNPRINTABLE = [
    "https://a/b?", "https://a/b#", "https://a/b c", "https://a/b\tc", "https://пример.рф", "https://a/ф",
    "https://a;b", "https://a,b/c",
]  # fmt: skip
BAD = {
    "TELEGRAM_BOT_TOKEN": ["123", ":abc", "abc:def", "123:a b", "123:abc/..", " ", "123:abc\n", "-1:abc"],
    "TELEGRAM_API_URL": [
        "http://api.telegram.org", "ftp://api.telegram.org", "api.telegram.org", "https://", "https://a:b@c",
        "https://a?b", "https://a#b", "http://localhost.evil.org", "http://127.0.0.1.evil.org",
        "https://a/bot123456:AAbbCCddEEffGGhhIIjj", "https://a/bot123456%3AAAbbCCddEEffGGhhIIjj",
        "https://a/bot123456%253AAAbbCCddEEffGGhhIIjj/", "https://a/x/123456:AAbbCCddEEffGGhhIIjj/y", "https://a/bot",
        "https://a/bot/", "https://a:x", "https://[", "//a",
    ],
    "TELEGRAM_FILE_URL": ["http://files.example.org", "files", "https://a/bot1234:AAbbCCddEEffGGhhIIjj", "https://a?b"],
    "TELEGRAM_PROXY": [
        "proxy:3128", "socks5://proxy", "http://", "http://proxy/path", "http://u:p/w@proxy", "http://a:0",
    ],
    "TELEGRAM_CA_FILE": ["/no/such/file", "/dev/null", "/"],
    "TELEGRAM_ALLOW_HTTP": ["maybe", "2"],
    "TELEGRAM_TEST": ["maybe", "2"],
    "REDIS_URL": [
        "localhost:6379", "http://localhost", "redis://", "memory://", "amqp://a", "redis://a?x=1", "unix://",
    ],
    "CELERY_BROKER_URL": ["localhost", "http://localhost", "memory://", "amqp://", "redis://a?socket_timeout=9"],
    "API_KEYS": [",", " , ", "x", "x" * 15, f"{'x' * 16},short", f"short , {'x' * 16}"],
    "URL_SIGNING_KEYS": [",", "short", "x" * 31, f"{'x' * 32},short"],
    "INIT_DATA_MAX_AGE": ["0", "-1", "a day", "1.5"],
    "HOST": ["tcp://10.0.0.1:8000", "a b", "a/b", "0.0.0.0:8000", "localhost:8000", "[::]", "[::1]:8000", "a%b"],
    "PORT": ["0", "65536", "http", "80.5", "-1", ":8000", "8000/tcp", "0.0.0.0:8000"],
    "PUBLIC_URL": ["photos.example.org", "ftp://a", "https://a?b=c", "https://u:p@a", "https://", *UNPRINTABLE],
    "DOCS_URL": ["docs.example.org", "ftp://a", "https://a?b=c", "https://u:p@a", "https://", *UNPRINTABLE],
    "CORS_ORIGINS": [
        "*", "example.org", "https://a/path", "https://a, *", "https://*.example.org", "null", "https://a[", "https://[a]",
        "https://u@a", "https://a:0", "https://a:65536", "https://ä.example",
    ],
    "FLOWER_PORT": ["0", "x"],
    "PAGE_KEY": ["x", "x" * 31],
    "FLOWER_MAX_TASKS": ["0", "x"],
    "FLOWER_BASIC_AUTH": ["user", ":password", "user:", "a:b,c:d"],
    "PHOTO_SIZES": ["", "0", "15", "641", "80,80", "a", "80,,x", "80.5", "16,17,18,19,20,21,22,23,24", "-80"],
    "PHOTO_FORMATS": ["gif", "webp,webp", "webp jpeg", "WEBP", ","],
    "PHOTO_TTL": ["0", "-1", "x", "1.5"],
    "FILE_PATH_TTL": ["0", "90000"],
    "PHOTO_CACHE_MB": ["-1", "4097", "x", "1.5"],
    "PHOTO_WAIT": ["-1", "11", "x", "nan", "inf"],
    "WARM_FIRST": ["-1", "101", "x"],
    "REWARM_PARTNERS": ["-1", "1000001"],
    "PROFILE_CHECK_EVERY": ["0", "x"],
    "TELEGRAM_RATE": ["0", "-1", "nan", "inf", "1000001", "fast"],
    "HOT_MAX": ["-1", "x"],
    "REDIS_MAXMEMORY": ["0", "lots", "512 mb", "512tb", "-1", "1.5gb"],
    "WEBHOOK_URL": [
        "http://a", "ftp://a", "a", "https://", "https://a:b@c", "https://a#b", "https://a b", "https://10.0.0.1",
        "https://[", "//a", "http://127.0.0.1.evil.org", "https://пример.рф",
    ],
    "WEBHOOK_SECRET": ["x", "whsec_", "whsec_c2hvcnQ=", "a passphrase that is long enough", "whsec_" + "A" * 88],
    "WEBHOOK_ALLOW_PRIVATE": ["maybe", "2"],
    "LOG_LEVEL": ["debug!", "TRACE", "10"],
    "LOG_FORMAT": ["xml", "Json"],
    "DEMO": ["maybe", "1"],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_value_gives_one_line_that_names_its_setting(env: Set, name: str) -> None:
    wrong = []
    for value in filter(None, BAD[name]):  # fmt: skip
        try:
            refuse(env, name, value)
        except (AssertionError, pytest.fail.Exception) as error:
            wrong.append((value, str(error)))
    assert wrong == []  # fmt: skip


def test_wrong_values_are_tried_for_every_setting() -> None:
    assert set(BAD) | ANYTHING_GOES == {name.upper() for name in Settings.model_fields}


CANARY = "hunter2hunter2"
CANARIES = [
    CANARY, f"-{CANARY}", f"{CANARY},{CANARY}", f"{CANARY}://x", f"https://user:{CANARY}@host",
    f"https://user:{CANARY}/x@host", f"https://host:{CANARY}", f"https://[{CANARY}", f"https://{CANARY}\u2100.example",
    f"https://host/bot123456:{CANARY}", f"https://host/?{CANARY}", f"http://{CANARY}.example",
    f"redis://:{CANARY}/x@host", f"redis://:x#{CANARY}@host", f"redis://:x?{CANARY}@host:1/0",
    f"redis://:{CANARY}@host/0?nonsense=1", f"rediss://host/0?ssl_ca_certs={CANARY}",
    f"redis+cluster://:{CANARY}@host/1", f"amqp://user:{CANARY}?@host", f"123456:{CANARY} ", f"/no/such/{CANARY}",
]  # fmt: skip


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_no_error_of_any_setting_repeats_a_part_of_its_value(env: Set, name: str) -> None:
    shown = [text for value in CANARIES if (text := try_value(env, name, value))]
    assert [text for text in shown if CANARY in text] == []
    assert shown or name in (*ANYTHING_GOES, "API_KEYS")


def try_value(env: Set, name: str, value: str) -> str:
    """Returns the error for this value with its traceback and its context, empty if the value is accepted.

    No traceback shows the context, but a tool that collects errors may.
    """
    try:
        env(**{name: value})
    except ConfigError as error:
        return "".join([*traceback.format_exception(error), str(error.__context__ or "")])
    return ""


@pytest.mark.parametrize("name", [".env", "data/running.env"])
def test_an_env_file_that_cannot_be_read_is_named(env: Set, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("LOG_LEVEL=DEBUG", "utf-16")
    with pytest.raises(ConfigError, match=f"^{name}: is not text in UTF-8"):
        env(DATA_DIR=None)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=f"^{name}: cannot be read"):
        env(DATA_DIR=None)


@pytest.mark.parametrize("name", [".env", "data/running.env"])
@pytest.mark.parametrize("line", ['API_KEYS="abc', "API_KEYS='it's'", 'API_KEYS="abc" def'])
def test_a_line_of_an_env_file_that_cannot_be_read_is_named_and_not_repeated(
    env: Set, tmp_path: Path, name: str, line: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / name).write_text(f"# Keys\n\n{line}\nHOT_MAX=3\n")
    with pytest.raises(ConfigError, match=f"^{name}: line 3 cannot be read: [^\n]*\\Z") as caught:
        env(DATA_DIR=None)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("link", ["tcp://10.0.0.1:8000", "udp://10.0.0.1:53", "sctp://10.0.0.1:80"])
def test_a_service_link_instead_of_a_number_is_called_one(env: Set, link: str) -> None:
    numbers = [name.upper() for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
    assert {"PORT", "HOT_MAX", "PHOTO_WAIT", "TELEGRAM_RATE"} < set(numbers)
    for name in set(numbers) - {"FLOWER_PORT"}:
        assert "is a link to a service (tcp://…), as Kubernetes and Docker set them" in refuse(env, name, link)
        env(**{name: None})


def test_all_wrong_values_are_named(env: Set) -> None:
    with pytest.raises(ConfigError) as caught:
        env(PORT="x", HOT_MAX="-1", API_KEYS=None)
    assert {part.partition(":")[0] for part in str(caught.value).split("; ")} == {"PORT", "HOT_MAX", "API_KEYS"}
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)  # either would hold the values


@pytest.mark.parametrize(
    ("rate", "wait", "hot_max"),
    [("12", "2", 24), ("30", "2", 60), ("12", "0.5", 12), ("12", "0", 12), ("0.1", "2", 1), ("0.1", "0", 1)],
)
def test_hot_max_is_what_the_budget_serves_within_the_wait_or_one_second(
    env: Set, rate: str, wait: str, hot_max: int
) -> None:
    assert env(TELEGRAM_RATE=rate, PHOTO_WAIT=wait).hot_max == hot_max
    assert env(TELEGRAM_RATE=rate, PHOTO_WAIT=wait, HOT_MAX="7").hot_max == 7


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "localhost", "web_1"])
def test_a_host_is_a_name_or_an_address(env: Set, host: str) -> None:
    assert env(HOST=host).host == host


def test_a_program_exits_with_the_error_line(env: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    with pytest.raises(SystemExit) as caught:
        load_settings_or_exit()
    assert str(caught.value).startswith("avatar-warmer: PORT: ")
