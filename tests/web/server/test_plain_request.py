"""The grammar of plain requests is strictly smaller than gunicorn's. The examples are the same in every run."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gunicorn_way import make_config, read_whole
from tests.support.raw_http import head
from tests.support.thorough import bounded
from web.photos.app import read_environ, read_list_environ
from web.photos.request import LIST_PATH, ListRequest, RawRequest
from web.server.fast_path import permits_the_fast_path
from web.server.plain_request import ETAGS_MAX, FIELD_MAX, FIELDS_MAX, LINE_MAX, NOT_PLAIN, TARGET_MAX, parse_plain

# As gunicorn.conf.py sets it, and one whose peer is trusted with everything.
CONFIGS = [make_config(forwarded_allow_ips=""), make_config(forwarded_allow_ips="*", forwarder_headers="*")]

NAME = "AgACAgIAAxkBAAIBcGa_one-0"
TARGETS = [
    f"/api/photos/file/{NAME}", f"/api/photos/file/{NAME}?", f"/api/photos/file/{NAME}?size=160&sig=w94V60KBs8vzcnMZ",
    "/api/photos/user/-42?sig=a&utm_source=x%20y&a=[1]", "/api/photos/user/42?a?b/../c//d", "/api/photos/user/1?:@",
    LIST_PATH, f"{LIST_PATH}?", f"{LIST_PATH}?limit=20", f"{LIST_PATH}?limit=5&limit=6",
]  # fmt: skip
ODD_TARGETS = [
    "/api/photos/file/", "/api/photos/file//x", "/api/photos/file/a%41", "/api/photos/file/a;b", "/api/photos/file/a/b",
    "/api/photos/file/a#b", "/api/photos/user/1?a#b", '/api/photos/user/1?"', "/api/photos/user/1?\xff", "//api/photos",
    "http://a.example/api/photos/user/1", "/api/photos/user/1?a b", "/healthz", "*", "", "/api/photos/FILE/a",
    f"/api/photos/file/{'a' * 257}", f"/api/photos/user/1?{'a' * 4000}", f"{LIST_PATH}/", f"{LIST_PATH}x",
    f"{LIST_PATH}#a", f"/{LIST_PATH}", "/api/partner/me", "/api/partner/42",
]  # fmt: skip
FIELDS = {
    "Accept": ["image/avif,image/webp,*/*;q=0.8", "", "*/*"],
    "If-None-Match": ['"a"', 'W/"a", "b"', "*", ""],
    "X-Request-ID": ["an-id", "no id", ""],
    "Connection": ["keep-alive", "Keep-Alive"],
    "User-Agent": ["Mozilla/5.0 (X11; Linux x86_64)"],
    "Cookie": ["a=b; c=d"],
    "X-Forwarded-For": ["192.0.2.1, 192.0.2.2"],
    "X-Forwarded-Proto": ["https", "http"],
    "Range": ["bytes=0-1"],
    "Accept-Encoding": ["gzip, deflate, br", "identity", ""],
    "Authorization": ["Bearer a-key", "tma auth_date=1&user=%7B%7D&hash=0", "Basic YTpi", ""],
    "Origin": ["https://app.example", "null", ""],
}
ODD_NAMES = [
    *sorted(NOT_PLAIN), "X_Odd", "SCRIPT_NAME", "X Odd", "", " X-Folded", "X\xe9", "X\0", "Ho st", "X:Y", "!#$"
]  # fmt: skip
ODD_VALUES = ["close", "upgrade", "chunked", "gzip, chunked", "0", "5", "100-continue", "a\tb", "\ta", "a\0", "a\rb",
              "a\nb", "\xff", "\x7f", "on", "ssl", "x" * 5000]  # fmt: skip
PIECES = [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"\0", b"\x7f", b"\x80", b"#", b"%", b"?", b"G"]

plain_fields = st.lists(
    st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(FIELDS[name]))),
    unique_by=lambda field: field[0],
    max_size=8,
)
odd_fields = st.lists(
    st.tuples(
        st.sampled_from([*FIELDS, "Host", "host", *ODD_NAMES]), st.sampled_from(["a", "keep-alive", "", *ODD_VALUES])
    ),
    max_size=6,
)
respell = st.sampled_from([str, str.lower, str.upper])
space = st.sampled_from([" ", "", "  "])


@st.composite
def plain_heads(draw: Any) -> bytes:
    """Requests that are plain."""
    method, target = draw(st.sampled_from(["GET", "HEAD"])), draw(st.sampled_from(TARGETS))
    fields = [("Host", draw(st.sampled_from(["a.example", "[::1]:8000", ""]))), *draw(plain_fields)]
    lines = [
        f"{draw(respell)(name)}:{draw(space)}{value}{draw(space)}" for name, value in draw(st.permutations(fields))
    ]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


@st.composite
def odd_heads(draw: Any) -> bytes:
    """Requests of which some part is odd, or none."""
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "POST", "get", "OPTIONS", "GET ", " GET"]))
    version = draw(
        st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "])
    )
    target = draw(st.sampled_from([*TARGETS, *ODD_TARGETS]))
    lines = [f"{name}:{draw(space)}{value}" for name, value in draw(odd_fields)]
    return "\r\n".join([f"{method} {target} {version}", "Host: a", *lines, "", ""]).encode("latin-1")


@st.composite
def damaged_heads(draw: Any) -> bytes:
    """Plain requests with a byte or two more or less."""
    data: bytes = draw(plain_heads())
    at, gone = draw(st.integers(0, len(data))), draw(st.integers(0, 2))
    piece: bytes = draw(st.sampled_from(PIECES))
    return data[:at] + piece + data[at + gone :]


@bounded(300, 5000)
@given(st.one_of(plain_heads(), odd_heads(), damaged_heads()))
def test_what_is_plain_is_read_by_gunicorn_in_the_same_way_and_nothing_is_left_over(data: bytes) -> None:
    raw = parse_plain(data)
    if raw is None:
        return
    for cfg in CONFIGS:
        request, environ = read_whole(data, cfg)
        assert (read_list_environ if isinstance(raw, ListRequest) else read_environ)(environ) == raw
        assert request.uri == data.split(b" ")[1].decode()
        assert (request.version, request.fragment, request.should_close()) == ((1, 1), "", False)
        assert (request._expected_100_continue, request.trailers) == (False, [])
        assert "HTTP_HOST" in environ
        assert not {"CONTENT_LENGTH", "CONTENT_TYPE"} & environ.keys()


@bounded(300, 5000)
@given(plain_heads(), st.binary(min_size=1, max_size=4))
def test_a_plain_request_is_plain_only_as_a_whole_and_alone(data: bytes, more: bytes) -> None:
    assert parse_plain(data)
    assert parse_plain(data + more) is None
    assert parse_plain(more + data) is None
    assert [length for length in range(len(data)) if parse_plain(data[:length])] == []


@bounded(300, 5000)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_no_plain_request_and_no_error(data: bytes) -> None:
    assert parse_plain(data) is None


URL = f"/api/photos/file/{NAME}?size=160&sig=abc"
GET = f"GET {URL} HTTP/1.1"


def test_a_plain_request_is_read() -> None:
    fields = ["accept:image/webp ", 'If-None-Match:  "a"', "X-REQUEST-ID: an-id", "User-Agent: x"]
    path, _, query = URL.partition("?")
    assert parse_plain(head(GET, *fields)) == RawRequest("GET", path, query, "image/webp", '"a"', "an-id")
    assert parse_plain(head(f"HEAD {path} HTTP/1.1")) == RawRequest("HEAD", path, "")


def test_a_plain_request_of_the_list_is_read() -> None:
    fields = [
        "authorization: Bearer a key ",
        "Origin: https://a.example",
        "Accept-Encoding: gzip",
        "X-Request-ID: an-id",
    ]
    whole = ListRequest("GET", "limit=20", "Bearer a key", "https://a.example", "gzip", "an-id")
    assert parse_plain(head(f"GET {LIST_PATH}?limit=20 HTTP/1.1", *fields)) == whole
    assert parse_plain(head(f"HEAD {LIST_PATH} HTTP/1.1")) == ListRequest("HEAD", "")


CHROME = [
    "Connection: keep-alive", 'sec-ch-ua: "Chromium";v="140", "Not?A_Brand";v="99"', "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"', "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Referer: http://127.0.0.1:8000/",
    "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9", 'If-None-Match: "w94V60KBs8vzcn"',
]  # fmt: skip
TYPICAL = {
    "Chrome": CHROME,
    "the shipped nginx": ["X-Request-ID: 0123456789abcdef", "Accept: image/webp", "X-Forwarded-For: 192.0.2.1"],
    "Caddy": [
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: a.example",
        "X-Forwarded-Proto: https",
        "Via: 1.1 Caddy",
    ],
    "requests": ["User-Agent: python-requests/2.34", "Accept-Encoding: gzip", "Accept: */*", "Connection: keep-alive"],
    "http.client": ["Accept-Encoding: identity", "Accept: image/webp,*/*"],
    "wrk": ["Accept: image/avif,image/webp,*/*;q=0.8"],
}


@pytest.mark.parametrize("who", TYPICAL)
def test_the_requests_of_browsers_proxies_and_libraries_are_plain(who: str) -> None:
    assert parse_plain(head(GET, *TYPICAL[who]))


ODD = {
    "another method": head(f"POST {URL} HTTP/1.1"),
    "HTTP/1.0": head(f"GET {URL} HTTP/1.0"),
    "no field": head(GET, host=""),
    "no Host": head(GET, "Accept: image/webp", host=""),
    "two Hosts": head(GET, "host: b"),
    "a repeated field": head(GET, "Accept: image/webp", "accept: image/jpeg"),
    "a repeated unknown field": head(GET, "X-A: 1", "x-a: 1"),
    "the last request": head(GET, "Connection: close"),
    "several words": head(GET, "Connection: keep-alive, Upgrade"),
    "an absolute target": head(f"GET http://a.example{URL} HTTP/1.1"),
    "an escape in the path": head(f"GET /api/photos/file/%41{NAME} HTTP/1.1"),
    "a fragment": head(f"GET {URL}#a HTTP/1.1"),
    "an underscore": head(GET, "X_A: 1"),
    "a tab": head(GET, "X-A:\t1"),
    "Latin-1": head(GET, "X-A: \xe9"),
    "a folded field": head(GET, "X-A: 1", " 2"),
    "a bare line feed": head(GET).replace(b"\r\n", b"\n"),
    "an empty line before it": b"\r\n" + head(GET),
    "another request behind it": head(GET) * 2,
    "a body": head(GET, "Content-Length: 5") + b"hello",
    "no body, said aloud": head(GET, "Content-Length: 0"),
    "another route": head("GET /healthz HTTP/1.1"),
    "too long a query": head(f"GET {URL}{'&a=b' * 200} HTTP/1.1"),
    "too long an Accept": head(GET, f"Accept: {','.join(['a/b;q=0.1'] * 60)}"),
    "too many ETags": head(GET, "If-None-Match: " + ",".join(['"a"'] * 60)),
    "too long a field": head(GET, f"X-A: {'a' * 5000}"),
    "too many fields": head(GET, *[f"X-{number}: 1" for number in range(50)]),
    **{name: head(GET, f"{name}: x") for name in sorted(NOT_PLAIN)},
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_is_not_plain(what: str) -> None:
    assert parse_plain(ODD[what]) is None


@pytest.mark.parametrize("path", [f"/api/photos/file/{'a' * 256}", LIST_PATH])
def test_the_limits_are_those_of_the_longest_plain_request(path: str) -> None:
    longest = f"HEAD {path}?{'a' * (TARGET_MAX - len(path))} HTTP/1.1"
    field = f"{'X' * 64}:{'a' * 4096}"
    data = head(longest, field, *[f"X-{number}: 1" for number in range(48)])
    assert parse_plain(data)
    assert len(longest) <= LINE_MAX
    assert len(field) + 2 <= FIELD_MAX
    assert data.count(b"\r\n") == FIELDS_MAX + 2
    read_whole(data, Config())
    assert parse_plain(head(longest.replace("?", "?a"))) is None


@pytest.mark.parametrize(("name", "most"), [("Accept", TARGET_MAX - len(URL) + 1), ("If-None-Match", ETAGS_MAX)])
def test_a_field_that_takes_long_to_read_is_plain_only_if_it_is_short(name: str, most: int) -> None:
    assert parse_plain(head(GET, f"{name}: {'a' * most}"))
    assert parse_plain(head(GET, f"{name}: {'a' * (most + 1)}")) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("limit_request_line", LINE_MAX - 1),
        ("limit_request_fields", FIELDS_MAX - 1),
        ("limit_request_field_size", FIELD_MAX - 1),
        ("keepalive", 0),
        ("max_requests", 1000),
        ("accesslog", "-"),
        ("statsd_host", "127.0.0.1:8125"),
        ("syslog", True),
        ("logger_class", "gunicorn.instrument.statsd.Statsd"),
        ("logconfig", "x.ini"),
        ("logconfig_json", "x.json"),
        ("proxy_protocol", "auto"),
        ("protocol", "uwsgi"),
        ("http2_cleartext", "both"),
        ("http_parser", "fast"),
        ("secure_scheme_headers", {"X-FORWARDED-PROTO": "https", "X-SCHEME": "https"}),
        ("forwarder_headers", "*"),
        ("header_map", "dangerous"),
        ("strip_header_spaces", True),
        ("casefold_http_method", True),
        ("permit_obsolete_folding", True),
        ("permit_unconventional_http_method", True),
        ("permit_unconventional_http_version", True),
        ("certfile", "x.pem"),
        ("pre_request", lambda _worker, _request: None),
        ("post_request", lambda _worker, _request, _environ, _response: None),
    ],
)
def test_a_configuration_that_changes_the_ordinary_way_turns_the_fast_path_off(setting: str, value: object) -> None:
    assert permits_the_fast_path(Config())
    assert not permits_the_fast_path(make_config(**{setting: value}))


def test_a_script_name_turns_the_fast_path_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_NAME", "/avatars")
    assert not permits_the_fast_path(Config())
