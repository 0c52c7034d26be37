"""The settings of the webhook: an error names the variable and repeats no part of its value."""

from __future__ import annotations

import base64

import pytest

from tests.support.receiver import SECRET
from tests.support.setting import Set, env, refuse

__all__ = ["env"]

URL = "https://backend.example.org/hooks/avatars?of=bot"


def encode(length: int) -> str:
    return base64.b64encode(b"x" * length).decode()


@pytest.mark.parametrize(
    "url",
    [URL, "https://93.184.216.34/hook", "http://127.0.0.1:5001/hook", "http://localhost/hook", "http://[::1]:5001/"],
)
def test_https_is_accepted_and_http_on_loopback(env: Set, url: str) -> None:
    assert env(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET).webhook_url == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://backend.example.org/private-path", "https"),
        ("http://10.0.0.7/private-path", "https"),
        ("ftp://backend.example.org/private-path", "http(s)"),
        ("private-path", "http(s)"),
        ("https://user:private-path@backend.example.org/", "credentials"),
        ("https://backend.example.org/private-path#top", "#"),
        ("https://backend.example.org/private-path and more", "spaces"),
        ("https://10.0.0.7/private-path", "WEBHOOK_ALLOW_PRIVATE"),
        ("https://169.254.169.254/private-path", "WEBHOOK_ALLOW_PRIVATE"),
        ("https://[fd00::1]/private-path", "WEBHOOK_ALLOW_PRIVATE"),
        ("https://[::ffff:10.0.0.7]/private-path", "WEBHOOK_ALLOW_PRIVATE"),
        ("https://[64:ff9b::a00:7]/private-path", "WEBHOOK_ALLOW_PRIVATE"),
        ("https://2130706433/private-path", "WEBHOOK_ALLOW_PRIVATE"),
    ],
)
def test_any_other_url_is_refused_without_repeating_it(env: Set, url: str, said: str) -> None:
    line = refuse(env, "WEBHOOK_URL", url, WEBHOOK_SECRET=SECRET)
    assert said in line
    assert "private-path" not in line


def test_a_private_address_can_be_allowed_but_not_without_https(env: Set) -> None:
    url = "https://10.0.0.7/hook"
    assert env(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOW_PRIVATE="true").webhook_url == url
    refuse(env, "WEBHOOK_URL", "http://10.0.0.7/hook", WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOW_PRIVATE="true")


@pytest.mark.parametrize(
    "secret", [encode(24), encode(64), f"whsec_{encode(32)}", f"whsec_{encode(32)}, whsec_{encode(33)}"]
)
def test_a_secret_is_the_base64_of_24_to_64_bytes(env: Set, secret: str) -> None:
    settings = env(WEBHOOK_URL=URL, WEBHOOK_SECRET=secret)
    assert [one.get_secret_value() for one in settings.webhook_secret] == secret.split(", ")


@pytest.mark.parametrize(
    "secret", [encode(23), encode(65), f"whsec_{encode(8)}", "a passphrase of more than 24 characters!", "whsec_"]
)
def test_any_other_secret_is_refused_without_repeating_it(env: Set, secret: str) -> None:
    line = refuse(env, "WEBHOOK_SECRET", secret, WEBHOOK_URL=URL)
    assert secret.removeprefix("whsec_") not in line.removeprefix("WEBHOOK_SECRET: ") or secret == "whsec_"
    assert "24 to 64" in line


def test_a_url_needs_a_secret(env: Set) -> None:
    assert "WEBHOOK_URL needs it" in refuse(env, "WEBHOOK_SECRET", None, WEBHOOK_URL=URL)


def test_a_secret_needs_no_url(env: Set) -> None:
    assert env(WEBHOOK_SECRET=SECRET).webhook_url is None


def test_the_repr_shows_neither(env: Set) -> None:
    settings = env(WEBHOOK_URL=URL, WEBHOOK_SECRET=SECRET)
    assert "backend.example.org" not in repr(settings)
    assert SECRET.removeprefix("whsec_") not in repr(settings)


@pytest.mark.parametrize("text", [URL, URL.replace(".org", ".org:443")])
def test_what_follows_the_host_of_the_url_is_redacted_in_any_text(env: Set, text: str) -> None:
    redacted = env(WEBHOOK_URL=URL, WEBHOOK_SECRET=SECRET).redact(f"Failed to parse headers (url={text})")
    assert "backend.example.org" in redacted
    assert "hooks" not in redacted
    assert "***)" in redacted


def test_a_url_without_a_path_redacts_nothing(env: Set) -> None:
    line = "see https://backend.example.org/ and /api"
    assert env(WEBHOOK_URL="https://backend.example.org/", WEBHOOK_SECRET=SECRET).redact(line) == line
