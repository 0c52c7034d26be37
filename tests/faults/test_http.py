"""Malformed and hostile HTTP against the service: each request gets its documented answer, other clients are served."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.conftest import API_KEY
from tests.support.faults import Clients, open_bystander
from tests.support.raw_http import RawAnswer, connect, exchange, head, read_answer
from tests.support.running import ROOT, Service
from tests.support.waiting import wait_until
from tests.support.web_parts import warm_picture

PUT, JSON = "PUT /api/partner/77 HTTP/1.1", "Content-Type: application/json"
AS_SERVER = f"Authorization: Bearer {API_KEY}"
ANN = b'{"name": "Ann"}'
ALIVE = "GET /healthz HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def picture(service: Service) -> str:
    return warm_picture(service)


@pytest.fixture(scope="module")
def log_starts(service: Service) -> dict[str, int]:
    """The size of each log before these tests."""
    return {path.name: path.stat().st_size for path in (service.data_dir / "logs").iterdir()}


@pytest.fixture(scope="module", autouse=True)
def bystander(service: Service, picture: str, log_starts: dict[str, int]) -> Iterator[Clients]:
    with open_bystander(service.url, "/healthz", picture) as running:
        yield running


def ask(service: Service, data: bytes) -> RawAnswer:
    """Send this and return the only answer."""
    answers = [answer for answer in ask_all(service, data) if answer.status != 100]
    assert len(answers) == 1
    assert_reveals_nothing(answers[0])
    return answers[0]


def ask_all(service: Service, data: bytes, methods: str = "GET") -> list[RawAnswer]:
    """Send this and return the answers."""
    return exchange(service.url, data, methods=methods)


def assert_reveals_nothing(answer: RawAnswer) -> None:
    assert answer.headers.get("server", "gunicorn") == "gunicorn"  # no version
    assert not [word for word in (b"Traceback", b'File "', str(ROOT).encode()) if word in answer.body]
    if answer.body and answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.body)["status"] == answer.status


def to_chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def put(*fields: str, body: bytes = ANN) -> bytes:
    """Returns a PUT of a partner with these header fields."""
    return head(PUT, AS_SERVER, JSON, *fields) + body


HEADS = {
    "ninety-nine fields": (200, head(ALIVE, *["X: 1"] * 99)),
    "a hundred and one fields": (431, head(ALIVE, *["X: 1"] * 100)),
    "a field of 64 KiB": (431, head(ALIVE, "X: " + "a" * 2**16)),
    "an endless head": (431, head(ALIVE, *["X: " + "a" * 8000] * 60)),
    "a line of 16 KiB": (414, head(f"GET /{'a' * 2**14} HTTP/1.1")),
    "a line of 100 kB": (414, head(f"GET /{'a' * 100_000} HTTP/1.1")),
    "no Host": (400, head(ALIVE, host="")),
    "no Host in HTTP/1.0": (200, head("GET /healthz HTTP/1.0", host="")),
    "two Hosts": (400, head(ALIVE, "Host: b")),
    "an odd Host": (200, head(ALIVE, host="<b>/@:99999")),
    "a folded field": (400, head(ALIVE, "X: a", " b")),
    "a space in a name": (400, head(ALIVE, "X A: 1")),
    "a space before the colon": (400, head(ALIVE, "X : 1")),
    "no colon": (400, head(ALIVE, "X")),
    "an underscore": (200, head(ALIVE, "X_Y: 1", "SCRIPT_NAME: /x")),
    "bare line feeds": (400, head(ALIVE, "X: 1").replace(b"\r\n", b"\n")),
    "a bare line feed": (400, head(ALIVE, "X: 1\nY: 2")),
    "a carriage return": (400, head(ALIVE, "X: a\rb")),
    "a NUL": (400, head(ALIVE, "X: a\0b")),
    "Latin-1": (200, head(ALIVE, "X: \xff")),
    "two credentials": (401, head("GET /api/partner/recent HTTP/1.1", AS_SERVER, AS_SERVER)),
    "a credential with underscores": (401, head("GET /api/partner/recent HTTP/1.1", AS_SERVER.replace(":", "_:"))),
    "an unknown expectation": (417, head(ALIVE, "Expect: tea")),
    "a lower-case method": (400, head("get /healthz HTTP/1.1")),
    "an unknown method": (405, head("BREW /healthz HTTP/1.1")),
    "TRACE": (405, head("TRACE /healthz HTTP/1.1", "X: a secret")),
    "CONNECT": (404, head("CONNECT other.example:443 HTTP/1.1")),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /healthz\r\n\r\n"),
    "HTTP/1.0": (200, head("GET /healthz HTTP/1.0")),
    "HTTP/3.7": (400, head("GET /healthz HTTP/3.7")),
    "an upgrade": (200, head(ALIVE, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings:")),
}


def list_wrong(service: Service, requests: Mapping[str, tuple[int, bytes]]) -> dict[str, int]:
    """Returns the requests whose answer has the wrong status, with that status."""
    found = {name: ask(service, data).status for name, (_, data) in requests.items()}
    return {name: status for name, status in found.items() if status != requests[name][0]}


def test_a_malformed_head_gets_its_documented_status(service: Service) -> None:
    assert list_wrong(service, HEADS) == {}


BODIES = {
    "64 KiB": (200, put("Content-Length: 65536", body=ANN.ljust(2**16))),
    "a byte more": (413, put("Content-Length: 65537", body=ANN.ljust(2**16 + 1))),
    "a megabyte": (413, put("Content-Length: 1000000", body=bytes(10**6))),
    "a megabyte of a stranger": (401, head(PUT, JSON, "Content-Length: 1000000") + bytes(10**6)),
    "an endless one": (413, put(f"Content-Length: {'9' * 30}", body=b"")),
    "a length of 5000 digits": (400, put(f"Content-Length: {'9' * 5000}")),
    "a negative length": (400, put("Content-Length: -15")),
    "a length with a plus": (400, put("Content-Length: +15")),
    "a hexadecimal length": (400, put("Content-Length: 0xf")),
    "a list of lengths": (400, put("Content-Length: 15, 15")),
    "two lengths": (400, put("Content-Length: 15", "Content-Length: 16")),
    "a length and chunks": (400, put("Content-Length: 15", CHUNKED, body=to_chunks(ANN))),
    "chunks": (200, put(CHUNKED, body=to_chunks(ANN[:5], ANN[5:]))),
    "chunks of chunks": (400, put("Transfer-Encoding: chunked, chunked", body=to_chunks(ANN))),
    "another coding": (501, put("Transfer-Encoding: xchunked", body=to_chunks(ANN))),
    "70 kB in chunks": (413, put(CHUNKED, body=to_chunks(*[b" " * 1000] * 70))),
    "a chunk without a size": (400, put(CHUNKED, body=b"zz\r\nab\r\n0\r\n\r\n")),
    "a chunk of a stranger": (401, head(PUT, JSON, CHUNKED) + b"zz\r\n"),
    "a negative chunk": (400, put(CHUNKED, body=b"-1\r\nab\r\n0\r\n\r\n")),
    "a huge chunk": (400, put(CHUNKED, body=b"f" * 20 + b"\r\nab")),
    "a chunk of another size": (400, put(CHUNKED, body=b"5\r\n" + ANN + b"\r\n0\r\n\r\n")),
    "no last chunk": (400, put(CHUNKED, body=b"f\r\n" + ANN + b"\r\n")),
    "a credential after the chunks": (400, put(CHUNKED, body=b"f\r\n" + ANN + b"\r\n0\r\nAuthorization: x\r\n\r\n")),
    "a compressed one": (415, put("Content-Encoding: gzip", "Content-Length: 35", body=gzip.compress(ANN))),
    "one that waits to be asked": (200, put("Expect: 100-continue", "Content-Length: 15")),
    "one that waits and ends half-way": (400, put("Expect: 100-continue", "Content-Length: 30")),
    "one with a GET": (200, head(ALIVE, "Content-Length: 5") + b"hello"),
}  # fmt: skip


def test_a_malformed_body_gets_its_documented_status(service: Service) -> None:
    assert len(gzip.compress(ANN)) == 35
    service.ask("PUT", "/api/partner/77", json={"name": "Ann"})
    assert list_wrong(service, BODIES) == {}


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (401, head(PUT, JSON, "Content-Length: 15", "Expect: 100-continue")),
        (413, put("Content-Length: 65537", "Expect: 100-continue", body=b"")),
        (415, head(PUT, AS_SERVER, "Content-Length: 15", "Expect: 100-continue")),
    ],
)
def test_no_body_is_asked_for_before_a_refusal(service: Service, status: int, data: bytes) -> None:
    assert [answer.status for answer in ask_all(service, data)] == [status]


def test_bodies_that_never_end_hold_up_no_other_request(service: Service, picture: str) -> None:
    """More of them than all processes have threads."""
    endless = [put(CHUNKED, body=b"5\r\n12"), put("Content-Length: 15", "Expect: 100-continue", body=b"")]
    with ExitStack() as clients:
        for number in range(200):
            clients.enter_context(connect(service.url)).sendall(endless[number % 2])
        for _ in range(20):
            assert ask(service, head(f"GET {picture} HTTP/1.1")).status == 200
        assert put_when_asked(service) == [100, 200]


def put_when_asked(service: Service) -> list[int]:
    """Send a body once the service asks for it. Returns the statuses."""
    with connect(service.url) as sock, sock.makefile("rb") as stream:
        sock.sendall(put("Content-Length: 15", "Expect: 100-continue", body=b""))
        asked = read_answer(stream)
        assert asked
        if asked.status != 100:
            return [asked.status]
        sock.sendall(ANN)
        answer = read_answer(stream)
        assert answer
        return [asked.status, answer.status]


def test_an_incomplete_body_changes_nothing(service: Service) -> None:
    service.ask("DELETE", "/api/partner/78")
    for more in ([], ["Expect: 100-continue"]):
        data = head("PUT /api/partner/78 HTTP/1.1", AS_SERVER, JSON, "Content-Length: 30", *more) + ANN
        assert {answer.status for answer in ask_all(service, data)} <= {100, 400}
    assert service.ask("GET", "/api/partner/78").status_code == 404


UNKNOWN = [
    "/%00", "/%FF", "/..", "/../../etc/passwd", "/%2e%2e%2f%2e%2e%2fetc/passwd", "/;", "/healthz;a", "/healthz/",
    "/healthz%00", "/%", "/%zz", "/%e", "/healthz%2f", "/api//partner/recent", "//other.example/healthz",
    "/static/..", "/static/../gunicorn.conf.py", "/static/..%2f..%2fgunicorn.conf.py", "/static/%2e%2e/photos.py",
    "/static//etc/passwd", "/static/%2fetc/passwd", "/static/..%5cphotos.py", "/static/%00", "/static/page.js%00",
    "/static/%FF", "/static/", "/static/.", "/static/~root", "http://other.example/static/../photos.py",
    "//healthz", "///metrics", "http://other.example//ops.json",
    f"/static/{'a/' * 1000}", f"/static/{'a' * 300}", "/api/photos/file",
    "/api/partner/%00", "/api/partner/%FF", "/api/partner/..", "/api/partner/1;", "/api/partner//1", "/api/partner/+1",
    "/api/partner/1%2f2", "/api/partner/%D9%A1", "/api/partner/1%0a", f"/api/partner/{'1' * 3000}",
]  # fmt: skip
FORGED = [
    "file/", "file//", "user/", "user//",
    "file/..", "file/%00", "file/%FF", "file/a%2fb", "file/a/b", "file/;", "file/../../../healthz", "file/%zz",
    "file/a?sig=%FF%00&size=%00", f"file/{'a' * 3000}", f"file/{'%F0%9F' * 300}", "user/1e5", "user/%D9%A1", "user/-0",
    f"user/{'9' * 3000}", "user/%00", "user/4503599627370496",
]  # fmt: skip
WRONG = [
    "*", "..", "%00", "?a", "healthz", "other.example:80", "/a b", "/\xff", "/\0", "/\x7f", "http://[::1/healthz",
    "/api/photos/file/\xff", "/api/partner/\0", "/static/\xff", "/api/partner/recent?limit=%00",
    "/api/partner/recent?limit=%FF", "/api/partner/recent?limit=1&limit=2", f"/api/partner/recent?limit={'9' * 3000}",
]  # fmt: skip
FOUND = ["http://other.example/healthz", "http://other.example", "ftp://a@b:c/healthz", "/healthz?", "/%68ealthz"]
TARGETS = [
    *[(target, 404) for target in UNKNOWN],
    *[(f"/api/photos/{target}", 403) for target in FORGED],
    *[(target, 400) for target in WRONG],
    *[(target, 200) for target in FOUND],
]


def test_a_malformed_path_gets_its_documented_status(service: Service) -> None:
    requests = {ascii(target): (status, head(f"GET {target} HTTP/1.1", AS_SERVER)) for target, status in TARGETS}
    assert len(requests) == len(TARGETS)
    assert list_wrong(service, requests) == {}


def test_a_picture_can_be_requested_by_an_absolute_uri(service: Service, picture: str) -> None:
    for path, status in ((picture, 200), (picture + "&size=160", 400), (picture.replace("160", "160%00"), 400)):
        assert ask(service, head(f"GET http://other.example{path} HTTP/1.1")).status == status


def test_repeated_header_fields_form_one_list(service: Service, picture: str) -> None:
    line = f"GET {picture} HTTP/1.1"
    etag = ask(service, head(line)).headers["etag"]
    assert ask(service, head(line, 'If-None-Match: "x"', f"If-None-Match: {etag}")).status == 304
    assert ask(service, head(line, 'If-None-Match: "\xff,,,W/"')).status == 200
    answer = ask(service, head(line, "Accept: image/jpeg", "Accept: image/webp;q=0.1"))
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert ask(service, head(line, "Accept: ;;;q=,=,\xff/\xff;q=NaN")).headers["content-type"] == "image/jpeg"


def test_forged_forwarding_headers_change_nothing(service: Service, picture: str) -> None:
    forged = ["X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: /evil", "Forwarded: host=evil.example;proto=https"]
    forged += ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: off", "X-Script-Name: /evil", "SCRIPT_NAME: /evil"]
    line = "GET /api/partner/recent HTTP/1.1"
    plain = ask(service, head(line, AS_SERVER))
    answer = ask(service, head(line, AS_SERVER, *forged, host="evil.example"))
    assert (answer.status, answer.body) == (200, plain.body)
    urls = [partner["photo_url"] or "/" for partner in json.loads(answer.body)["partners"]]
    assert urls
    assert all(url.startswith("/") for url in urls)


def test_20_pipelined_requests_are_answered_in_order(service: Service, picture: str) -> None:
    etag = ask(service, head(f"GET {picture} HTTP/1.1")).headers["etag"]
    five = [
        (200, "GET", head(f"GET {picture} HTTP/1.1")),
        (404, "GET", head("GET /nowhere HTTP/1.1", "Content-Length: 5") + b"hello"),
        (304, "GET", head(f"GET {picture} HTTP/1.1", f"If-None-Match: {etag}")),
        (202, "POST", head("POST /api/photos/warm HTTP/1.1", AS_SERVER, JSON, "Content-Length: 22")
         + b'{"photo_file_ids": []}'),
        (200, "HEAD", head(f"HEAD {picture} HTTP/1.1")),
    ]  # fmt: skip
    answers = ask_all(service, b"".join(data for _, _, data in five) * 4, "GET GET GET POST HEAD " * 4)
    assert [answer.status for answer in answers] == [status for status, _, _ in five] * 4
    assert len({answer.body for answer in answers[0::5]}) == 1
    assert all(len(answer.body) == int(answers[4].headers["content-length"]) for answer in answers[0::5])
    assert all(answer.body == b'{"photos":{}}\n' for answer in answers[3::5])


def test_other_clients_were_served_the_whole_time(bystander: Clients) -> None:
    wait_until(lambda: bystander.answers)  # if this test runs alone
    bystander.check_served()


def test_no_log_contains_an_error_or_a_traceback(service: Service, log_starts: dict[str, int]) -> None:
    for path in (service.data_dir / "logs").iterdir():
        said = path.read_bytes()[log_starts.get(path.name, 0) :].decode()
        assert not [word for word in ("Traceback", " ERROR ", " CRITICAL ", '"level": "ERROR"') if word in said], said
