"""Signed photo URLs: a URL opens exactly one picture."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from warmer.photo_urls import PhotoUrls, get_url_warning, sign
from warmer.settings import Settings

OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
FILE_ID = "AgACAgIAAxUAAWabcdefghijklmnopqrstuvwxyz0123"


def make_urls(*keys: str, sizes: tuple[int, ...] = (80, 160, 320), public_url: str = "") -> PhotoUrls:
    return PhotoUrls([SecretStr(key) for key in keys], public_url, sizes)


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        (f"file:{FILE_ID}", "w94V60KBs8vzcnMZo_ArtA"),
        ("user:42", "fRcGbvGIj2z5mpCqO94PWg"),
        ("user:-1001234567890", "9ai1AoQZinXUsmq_PnvUqw"),
    ],
)
def test_the_signature_is_the_first_half_of_an_hmac_in_base64url(message: str, signature: str) -> None:
    assert sign(OLD, message) == signature


@pytest.mark.parametrize(
    ("host", "public_url", "is_told"),
    [
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("0.0.0.0", "https://example.org/avatars", False),
    ],
)
def test_urls_that_are_paths_are_told_where_others_reach_the_service(
    settings: Settings, host: str, public_url: str, is_told: bool
) -> None:
    assert bool(get_url_warning(settings.model_copy(update={"host": host, "public_url": public_url}))) == is_told


def test_the_first_key_signs() -> None:
    url, _ = make_urls(NEW, OLD).of(FILE_ID)
    assert url.endswith(f"sig={sign(NEW, f'file:{FILE_ID}')}")


@pytest.mark.parametrize("key", [OLD, NEW])
def test_every_key_verifies(key: str) -> None:
    assert make_urls(NEW, OLD).verify("user:42", sign(key, "user:42"))


def test_a_removed_key_no_longer_verifies() -> None:
    assert not make_urls(NEW).verify("user:42", sign(OLD, "user:42"))


GOOD = sign(OLD, "user:42")


@pytest.mark.parametrize(
    "signature",
    [
        "",
        GOOD[:-1],
        GOOD + "=",
        GOOD + "==",
        GOOD + "A",
        GOOD.swapcase(),
        f" {GOOD}",
        sign(OLD, "file:42"),
        "é",
        "\ud800",
    ],
)
def test_only_the_exact_signature_is_valid(signature: str) -> None:
    assert not make_urls(OLD).verify("user:42", signature)


def test_a_signature_has_one_spelling() -> None:
    # 16 bytes are 22 letters, the last of which carries two bits: three other letters decode to the same bytes.
    twins = [GOOD[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    assert [twin for twin in twins if make_urls(OLD).verify("user:42", twin)] == [GOOD]


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [((80, 160, 320), 160), ((320, 200, 80), 200), ((80, 100), 100), ((640,), 640), ((160, 16), 160)],
)
def test_the_url_has_the_smallest_size_from_160_or_else_the_largest(sizes: tuple[int, ...], shown: int) -> None:
    assert f"size={shown}&" in make_urls(OLD, sizes=sizes).of(FILE_ID)[0]


def test_the_srcset_contains_every_size_and_starts_with_the_public_url() -> None:
    url, srcset = make_urls(OLD, public_url="https://a.example/b").of("user:-42")
    path = "https://a.example/b/api/photos/user/-42"
    signature = sign(OLD, "user:-42")
    assert url == f"{path}?size=160&sig={signature}"
    assert srcset == ", ".join(f"{path}?size={size}&sig={signature} {size}w" for size in (80, 160, 320))
