"""Settings: read once from the environment, parsed and frozen."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
from pydantic import ValidationError

from tests.support.running import ROOT
from tests.support.setting import SECRET, Set, env, refuse
from warmer.errors import ConfigError, SettingMissing
from warmer.redis_url import parse_options
from warmer.sources import FOLDER

__all__ = ["env"]

TOKEN = "987654321:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"


def test_the_defaults_are_those_of_the_contract(env: Set) -> None:
    settings = env(TELEGRAM_API_URL=None, TELEGRAM_RATE=None, DATA_DIR=None)
    assert settings.telegram_api_url == "https://api.telegram.org"
    assert (settings.host, settings.port, settings.flower_port) == ("0.0.0.0", 8000, 5555)
    assert (settings.photo_sizes, settings.photo_formats) == ((80, 160, 320), ("webp", "jpeg"))
    assert (settings.photo_ttl, settings.file_path_ttl, settings.photo_wait) == (604_800, 7200, 2.0)
    assert (settings.warm_first, settings.rewarm_partners, settings.profile_check_every) == (4, 1000, 21_600)
    assert (settings.telegram_rate, settings.hot_max, settings.redis_maxmemory) == (12, 24, "512mb")
    assert (settings.init_data_max_age, settings.log_level, settings.log_format) == (86_400, "INFO", "text")
    assert not settings.demo


def test_an_empty_variable_counts_as_unset(env: Set) -> None:
    assert env(PORT="", PHOTO_SIZES="", CELERY_BROKER_URL="").port == 8000


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081", "http://localhost:8081", "http://[::1]:8081", "https://tg.example.org/root/"]
)
def test_the_api_url_can_be_changed(env: Set, url: str) -> None:
    assert env(TELEGRAM_API_URL=url).telegram_api_url == url.rstrip("/")


def test_plain_http_beyond_this_machine_must_be_allowed_explicitly(env: Set) -> None:
    url = "http://bot-api:8081"
    assert "TELEGRAM_ALLOW_HTTP" in refuse(env, "TELEGRAM_API_URL", url)
    settings = env(TELEGRAM_API_URL=url, TELEGRAM_FILE_URL="http://files/tg/", TELEGRAM_ALLOW_HTTP="true")
    assert (settings.telegram_api_url, settings.telegram_file_url) == (url, "http://files/tg")


@pytest.mark.parametrize("url", ["http://proxy:3128", "https://user:pa%2Fss@proxy:3128/", "http://[::1]:3128"])
def test_a_proxy_may_have_a_login(env: Set, url: str) -> None:
    settings = env(TELEGRAM_PROXY=url)
    assert settings.telegram_proxy
    assert settings.telegram_proxy.get_secret_value() == url


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("PHOTO_SIZES", " 320, 80 ", (80, 320)),
        ("PHOTO_FORMATS", "avif,webp", ("avif", "webp")),
        (
            "CORS_ORIGINS",
            "https://A.example.org:443, http://localhost:3000, http://[0::1]:3000",
            ("https://a.example.org", "http://localhost:3000", "http://[::1]:3000"),
        ),
        ("PUBLIC_URL", "https://photos.example.org/base/", "https://photos.example.org/base"),
        ("TELEGRAM_RATE", "0.5", 0.5),
        ("PHOTO_WAIT", "0", 0),
        ("REWARM_PARTNERS", "0", 0),
        ("LOG_FORMAT", "json", "json"),
    ],
)
def test_a_value_is_parsed(env: Set, name: str, value: str, read: object) -> None:
    assert getattr(env(**{name: value}), name.lower()) == read


def test_a_list_of_keys_is_split(env: Set) -> None:
    settings = env(API_KEYS=f"{'1' * 16}, {'2' * 16}", URL_SIGNING_KEYS=f"{'a' * 32},{'b' * 32}")
    assert [key.get_secret_value() for key in settings.api_keys] == ["1" * 16, "2" * 16]
    assert [key.get_secret_value() for key in settings.url_signing_keys] == ["a" * 32, "b" * 32]


def test_the_length_of_a_signing_key_counts_bytes(env: Set) -> None:
    assert env(URL_SIGNING_KEYS="ключ" * 4)


def test_settings_are_frozen(env: Set) -> None:
    with pytest.raises(ValidationError):
        env().port = 1


def test_the_repr_reveals_no_secret(env: Set) -> None:
    settings = env(
        TELEGRAM_BOT_TOKEN=TOKEN,
        API_KEYS=SECRET,
        URL_SIGNING_KEYS=SECRET * 2,
        FLOWER_BASIC_AUTH=f"u:{SECRET}",
        REDIS_URL=f"redis://:{SECRET}@a",
        CELERY_BROKER_URL=f"amqp://u:{SECRET}@a",
        TELEGRAM_PROXY=f"http://u:{SECRET}@proxy:3128",
    )
    assert SECRET not in repr(settings) + str(settings)
    assert TOKEN not in repr(settings) + str(settings)


def test_the_environment_wins_over_dotenv_and_dotenv_over_generated_settings(env: Set, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".env").write_text("PORT=1002\nHOT_MAX=2\nWARM_FIRST=2")
    (tmp_path / "data" / "running.env").write_text("PORT=1003\nHOT_MAX=3\nREWARM_PARTNERS=3")
    settings = env(PORT="1001", DATA_DIR=None)
    assert (settings.port, settings.hot_max, settings.warm_first, settings.rewarm_partners) == (1001, 2, 2, 3)


def test_dotenv_can_set_the_data_folder(env: Set, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "running.env").write_text("HOT_MAX=3")
    (tmp_path / ".env").write_text("DATA_DIR=elsewhere")
    assert env(DATA_DIR=None).hot_max == 3


def test_the_data_folder_may_be_in_a_home_folder(env: Set, tmp_path: Path) -> None:
    (tmp_path / "avatars").mkdir()
    (tmp_path / "avatars" / "running.env").write_text("HOT_MAX=3")
    (tmp_path / ".env").write_text("DATA_DIR=~/avatars")
    assert env(DATA_DIR=None, HOME=str(tmp_path)).hot_max == 3
    with pytest.raises(ConfigError, match=r"^DATA_DIR: [^\n]+\Z"):
        env(DATA_DIR="~of-no-user/avatars")


def test_the_files_of_a_service_may_lie_elsewhere_than_it_runs(env: Set, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "running.env").write_text("HOT_MAX=3")
    (folder / ".env").write_text("PORT=1002\nTELEGRAM_CA_FILE=ca.pem\nREDIS_URL=rediss://a?ssl_ca_certs=ca.pem")
    shutil.copy(certifi.where(), folder / "ca.pem")
    settings = env(DATA_DIR=None, REDIS_URL=None, **{FOLDER: str(folder)})
    assert (settings.port, settings.hot_max, settings.telegram_ca_file) == (1002, 3, folder / "ca.pem")
    assert parse_options(settings.redis_url)["ssl_ca_certs"] == str(folder / "ca.pem")


def test_the_error_for_a_missing_setting_names_every_place_that_was_looked_at(env: Set, tmp_path: Path) -> None:
    with pytest.raises(SettingMissing) as caught:
        env(REDIS_URL=None, DATA_DIR="mine")
    files = f"{tmp_path / '.env'} and {tmp_path / 'mine' / 'running.env'}"
    assert str(caught.value) == f"REDIS_URL: is missing (looked in the environment, {files})"


def test_dotenv_may_begin_with_a_byte_order_mark(env: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HOT_MAX=3", "utf-8-sig")
    assert env().hot_max == 3


def test_dotenv_may_come_from_windows_with_quotes_spaces_and_comments(env: Set, tmp_path: Path) -> None:
    lines = [
        "# Mine",
        "",
        "HOT_MAX = '3'  # few",
        'export WARM_FIRST="2"',
        "REWARM_PARTNERS=5 ",
        "PHOTO_FORMATS='webp, jpeg'",
    ]
    (tmp_path / ".env").write_bytes("\r\n".join(lines).encode())
    settings = env()
    assert (settings.hot_max, settings.warm_first, settings.rewarm_partners) == (3, 2, 5)
    assert settings.photo_formats == ("webp", "jpeg")


def test_the_flower_port_that_kubernetes_sets_is_ignored(env: Set) -> None:
    assert env(FLOWER_PORT="tcp://10.3.0.7:5555").flower_port == 5555
    command = [sys.executable, "-c", "import os, warmer.celery; print(os.environ.get('FLOWER_PORT'))"]
    environ = {**os.environ, "FLOWER_PORT": "tcp://10.3.0.7:5555"}
    # Flower reads the variable itself, too.
    told = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "None\n"


def test_links_to_services_with_the_names_of_parts_change_nothing(env: Set) -> None:
    """As Kubernetes and Docker set them in every container."""
    links: dict[str, str] = {}
    for part in ("REDIS", "WEB", "WORKER", "BEAT", "FLOWER", "TELEGRAM", "CELERY", "CELERY_BROKER", "API", "PHOTO"):
        links |= {f"{part}_PORT": "tcp://10.3.0.7:80", f"{part}_SERVICE_HOST": "10.3.0.7", f"{part}_SERVICE_PORT": "80"}
        links |= {f"{part}_PORT_80_TCP": "tcp://10.3.0.7:80", f"{part}_PORT_80_TCP_PORT": "80"}
    assert env(**links) == env(**dict.fromkeys(links))


def test_other_variables_in_dotenv_are_ignored(env: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOMETHING_ELSE=1")
    assert env().port == 8000


def test_the_bot_id_is_the_part_before_the_colon(env: Set) -> None:
    assert env(TELEGRAM_BOT_TOKEN=TOKEN).bot_id == "987654321"


def test_the_web_tier_gets_only_a_hash_of_the_token(env: Set) -> None:
    expected = hmac.new(b"WebAppData", TOKEN.encode(), hashlib.sha256).hexdigest()
    assert env(TELEGRAM_BOT_TOKEN=TOKEN).init_data_secret == expected


@pytest.mark.parametrize(
    ("url", "broker", "expected"),
    [
        ("redis://h:1/2", None, "redis://h:1/2"),
        ("redis://h:1/2", "amqp://a", "amqp://a"),
        ("unix:///run/r.sock", None, "redis+socket:///run/r.sock?virtual_host=0"),
    ],
)
def test_the_broker_url_has_the_form_that_celery_expects(env: Set, url: str, broker: str | None, expected: str) -> None:
    assert env(REDIS_URL=url, CELERY_BROKER_URL=broker).broker_url == expected


@pytest.mark.parametrize("colon", [":", "%3A", "%3a", "%253A", "%25253a"])
def test_the_token_is_redacted_in_any_text(env: Set, colon: str) -> None:
    text = f"https://a/bot{TOKEN.replace(':', colon)}/getMe"
    assert env(TELEGRAM_BOT_TOKEN=TOKEN).redact(text) == "https://a/bot987654321:***/getMe"


def test_the_secret_part_of_the_token_is_redacted_on_its_own(env: Set) -> None:
    secret = "it-is-long-enough-to-be-no-word"
    settings = env(TELEGRAM_BOT_TOKEN=f"987654321:{secret}")
    assert settings.redact(f"bot987654321/{secret}!") == "bot987654321/987654321:***!"


def test_a_short_secret_part_is_not_redacted_on_its_own(env: Set) -> None:
    assert env(TELEGRAM_BOT_TOKEN="987654321:photo").redact("a photo, 987654321:photo") == "a photo, 987654321:***"


def test_the_demo_runs_on_loopback_with_the_fake_telegram(env: Set) -> None:
    assert env(DEMO="true", HOST="127.0.0.1", TELEGRAM_API_URL="http://127.0.0.1:8081").demo


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8081"), ("127.0.0.1", "https://api.telegram.org"), ("", "http://127.0.0.1:1")],
)
def test_the_demo_is_refused_elsewhere(env: Set, host: str, url: str) -> None:
    refuse(env, "DEMO", "true", HOST=host, TELEGRAM_API_URL=url)


def test_a_cluster_needs_a_separate_broker(env: Set) -> None:
    with pytest.raises(ConfigError, match=r"CELERY_BROKER_URL: .*cannot live in a cluster"):
        env(REDIS_URL="redis+cluster://a,b,c")
    assert env(REDIS_URL="redis+cluster://a", CELERY_BROKER_URL="redis://b").broker_url == "redis://b"


def test_sentinels_also_serve_the_broker(env: Set) -> None:
    settings = env(REDIS_URL="redis+sentinel://a,b/avatars")
    assert settings.broker_url == "sentinel://a:26379/0;sentinel://b:26379/0"
    assert settings.broker_master == "avatars"
