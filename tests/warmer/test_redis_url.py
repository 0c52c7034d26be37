"""URLs of clusters and Sentinels, and their form for kombu."""

from __future__ import annotations

import pytest

from warmer.redis_url import OPTIONS, Host, Place, check_url, parse_place, split_options, to_kombu_url


def test_a_cluster_url_names_some_of_its_nodes() -> None:
    place = parse_place("redis+cluster://a:7000,b,[::1]:7002")
    assert place == Place((Host("a", 7000), Host("b", 6379), Host("::1", 7002)))


def test_a_sentinel_url_names_the_master_and_a_database() -> None:
    place = parse_place("redis+sentinel://a,b:5/avatars/3")
    assert place == Place((Host("a", 26379), Host("b", 5)), master="avatars", database=3)


def test_credentials_are_unquoted_and_hidden() -> None:
    place = parse_place("rediss+cluster://me:p%40ss@a")
    assert place is not None
    assert (place.username, place.password, place.is_encrypted) == ("me", "p@ss", True)
    assert "p@ss" not in repr(place)


def test_other_urls_are_not_parsed() -> None:
    urls = ["redis://a", "rediss://a:1/2", "unix:///tmp/x", "amqp://a//"]
    assert [url for url in urls if parse_place(url) is not None] == []


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://", "redis+cluster://a/1", "redis+cluster://a,,b", "redis+cluster://a:0",
        "redis+cluster://a:65536", "redis+cluster://a b", "redis+sentinel://a", "redis+sentinel://a/",
        "redis+sentinel://a/m/x", "rediss+sentinel://a/m", "redis+cluster:a",
    ],
)  # fmt: skip
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_place(url)


def test_tls_with_sentinels_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="TLS with Sentinels is not supported"):
        parse_place("rediss+sentinel://me:p@ss@a,b/avatars")


SCHEMES = tuple(OPTIONS)
SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"{scheme}://{user}:{head}{mark}{tail}@host{rest}"
        for scheme, rest in {
            "redis": ":6379/0",
            "rediss": "",
            "redis+sentinel": "/m",
            "redis+cluster": "",
            "amqp": "/v",
            "amqps": "",
            "unix": "/r",
        }.items()
        for user in ("", "me")
        for head, tail in ((SECRET, "x"), ("x", SECRET), ("12", SECRET), (SECRET, ""))
        for mark in "/#?"
    ],
)
def test_a_password_that_is_not_encoded_is_refused_without_a_part_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be percent-encoded") as caught:
        check_url(url, SCHEMES)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@a:x", f"redis://:{SECRET}@a:70000", f"redis://:{SECRET}@[::1", f"redis://a/0?{SECRET}",
        f"redis://a/0?{SECRET}=1", f"redis://a/{SECRET}", f"redis://a/0?protocol={SECRET}",
        f"rediss://a/0?ssl_cert_reqs={SECRET}", f"rediss://a/0?ssl_ca_certs=/no/such/{SECRET}",
        f"redis://a/0?db=1&db={SECRET}", f"{SECRET}://a", f"redis+cluster://:{SECRET}@a:0",
        f"redis+sentinel://:{SECRET}@a", f"redis://a/0#{SECRET}", f"unix:///r#{SECRET}", f"amqp://a/v#{SECRET}", SECRET,
    ],
)  # fmt: skip
def test_no_part_of_a_url_that_is_refused_is_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|has|names|is not") as caught:
        check_url(url, SCHEMES)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://a?socket_timeout=9", "redis://a?decode_responses=1", "redis://a?ssl_cert_reqs=none",
        "redis+cluster://a?ssl_cert_reqs=none", "unix:///r?ssl_cert_reqs=none", "redis+cluster://a?db=1",
        "rediss://a?ssl_cert_reqs=maybe", "redis://a?protocol=4", "redis://a?protocol=", "redis://a?db=x",
        "amqp://a/v?heartbeat=10", "amqp://a/v?ssl_cert_reqs=none", "redis://a?protocol=2&protocol=3",
    ],
)  # fmt: skip
def test_an_option_that_has_no_meaning_here_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=r"has an option that is not known|has a wrong"):
        check_url(url, SCHEMES)


@pytest.mark.parametrize(
    "url",
    [
        "redis://a",
        "redis://a:6379/",
        "redis://:p%2F%23%3F%40w@a:1/2?protocol=2",
        "redis://u:p@ss@[::1]:1/2",
        "rediss://a?ssl_ca_certs=/dev/null&ssl_certfile=/dev/null&ssl_keyfile=/dev/null",
        "unix:///run/redis@1.sock?db=2",
        "unix://u:p@/run/r.sock",
        "redis+cluster://a,b?protocol=3",
        "rediss+cluster://u:p@a?ssl_cert_reqs=none",
        "redis+sentinel://a,b/m/1?protocol=2",
        "amqp://u:p%2Fw@a:1/v",
        "amqp://a//",
        "amqps://a?ssl_check_hostname=false",
    ],
)
def test_what_has_a_meaning_is_accepted(url: str) -> None:
    check_url(url, SCHEMES)


@pytest.mark.parametrize(
    ("url", "base", "options"),
    [
        ("redis://a/1?db=2", "redis://a/2", {"protocol": 2}),
        ("unix:///r?db=2&protocol=3", "unix:///r", {"db": 2, "protocol": 3}),
        ("rediss://a?ssl_cert_reqs=CERT_OPTIONAL", "rediss://a", {"protocol": 2, "ssl_cert_reqs": "optional"}),
        ("rediss://a?ssl_check_hostname=true", "rediss://a", {"protocol": 2, "ssl_check_hostname": True}),
    ],
)
def test_each_option_is_translated_for_redis_py(url: str, base: str, options: dict[str, object]) -> None:
    assert split_options(url) == (base, options)


@pytest.mark.parametrize(
    ("url", "kombu"),
    [
        ("redis://a:1/2", "redis://a:1/2"),
        ("redis://a:1?db=3", "redis://a:1/3"),
        ("redis://:p%2Fw@a:1/2?db=3&protocol=3", "redis://:p%2Fw@a:1/3"),
        ("rediss://a/2", "rediss://a/2?ssl_cert_reqs=CERT_REQUIRED"),
        ("rediss://a?ssl_cert_reqs=required", "rediss://a?ssl_cert_reqs=CERT_REQUIRED"),
        ("rediss://a?ssl_cert_reqs=none", "rediss://a?ssl_cert_reqs=CERT_NONE"),
        ("rediss://a?ssl_cert_reqs=CERT_NONE", "rediss://a?ssl_cert_reqs=CERT_NONE"),
        (
            "rediss://a?ssl_ca_certs=/dev/null&ssl_check_hostname=false",
            "rediss://a?ssl_ca_certs=%2Fdev%2Fnull&ssl_check_hostname=False&ssl_cert_reqs=CERT_REQUIRED",
        ),
        ("amqps://u:p@a/v", "amqps://u:p@a/v?ssl_cert_reqs=CERT_REQUIRED"),
        ("amqp://u:p@a/v", "amqp://u:p@a/v"),
        ("unix:///tmp/r.sock?db=3", "redis+socket:///tmp/r.sock?virtual_host=3"),
        ("redis+sentinel://a,b:5/m/1", "sentinel://a:26379/1;sentinel://b:5/1"),
        ("redis+sentinel://[::1]/m", "sentinel://[::1]:26379/0"),
        ("redis+sentinel://u:p%40@a/m", "sentinel://u:p%40@a:26379/0"),
    ],
)
def test_each_url_is_translated_for_kombu(url: str, kombu: str) -> None:
    assert to_kombu_url(url) == kombu
