"""A recognisable token and every code path at DEBUG: no output of the service contains it or any other key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values
from redis import Redis

from faketelegram import FakeTelegram
from runner.ports import free_loopback_port
from tests.conftest import make_picture, wait_until
from tests.support import canary_drive as drive
from tests.support.cli_parts import COMMAND
from tests.support.leaks import Places, find_leaks, read_command_lines, read_files, read_redis
from tests.support.running import ROOT, Service, run_service
from tests.support.web_parts import init_data
from tests.support.wiretap import Notebook, Wiretap, run_and_note, tapping
from warmer.settings import load_settings

TOKEN = "123456789:CANARY-sings_in-the-coal-mine_0123"
GIVEN = {
    "API_KEYS": "api/canary+key==at?home&away",
    "URL_SIGNING_KEYS": "signing/canary+key==of-at-least-32-bytes",
    "FLOWER_BASIC_AUTH": "admin:flower/canary+password",
}
AFTER = "after the stop, "
STATUSES = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 413, 415, 422, 503}
ENDS = ["123456789:***/", "ProtocolError", "ConnectionError", "502", "302", "not-an-image", "too-big"]
ENDS += ["raised unexpected", "unregistered task", "Refusing to deserialize", "Invalid request", "KeyError"]
SLOW_ENDS = ["cut at the total deadline", "ReadTimeout", "getFile: 401", "getFile: 404", "asks for a pause", "getMe"]
ENDS_OF_THE_COMMAND = (
    b"2 rows: 1 ready", b'"forgotten": [42]', b"No such option", b"no id", b"Redis is away", b"Usage:",
)  # fmt: skip
OWN_FILES = ("keys.env", "running.env")


@dataclass
class Run:
    """One run of the service: its outputs, and the secrets they must not contain."""

    log_format: str
    service: Service
    fake: FakeTelegram
    places: Places = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def socket(self) -> str:
        return urlsplit(str(dotenv_values(self.service.data_dir / "running.env")["REDIS_URL"])).path

    def read_logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in (self.service.data_dir / "logs").iterdir())

    def run_command(self, when: str, *words: str, **more: str) -> int:
        environment = {**self.service.environment, **more}
        return run_and_note(self.places, f"avatar-warmer {when} {words}", [str(COMMAND), *words], environment)

    def diagnose(self, when: str, *options: str, **more: str) -> int:
        command = [sys.executable, str(ROOT / "scripts" / "diagnose_photos.py"), *options]
        return run_and_note(self.places, f"diagnose {when} {options}", command, {**self.service.environment, **more})


@pytest.fixture(scope="module", params=["text", "json"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Text logs: given keys and every fault. JSON logs: generated keys and the quick faults."""
    folder = tmp_path_factory.mktemp("canary")
    with FakeTelegram(token=TOKEN, port=free_loopback_port()) as fake:
        fake.fail("getMe", "odd-headers")
        fake.fail("getMe", "redirect", location=f"{fake.url}/bot{TOKEN}/getMe")
        settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": fake.url, "TELEGRAM_RATE": "1000"}
        settings |= {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": request.param, "PHOTO_WAIT": "0.5"}
        given = GIVEN if request.param == "text" else {}
        with run_service(folder, **settings, **given) as service:
            run = Run(request.param, service, fake)
            run.secrets = list_secrets(run, given)
            socket = run.socket
            with tapping(socket) as taps, Redis(unix_socket_path=socket) as redis:
                drive_all(run, redis)
                collect(run, redis, taps)
        without = {"REDIS_URL": f"unix://{socket}", **{name: run.secrets[name] for name in GIVEN}}
        run.diagnose("without Redis", **without)
        for words in drive.FAILING_COMMANDS:
            assert run.run_command("without Redis", *words, **without)
        run.places |= {f"{AFTER}{name}": held for name, held in read_files(folder).items()}
        yield run


def list_secrets(run: Run, given: dict[str, str]) -> dict[str, str]:
    """The token, and every other key, given or generated."""
    kept = {name: str(value) for name, value in dotenv_values(run.service.data_dir / "keys.env").items()}
    keys = {**kept, **given}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
        secret = load_settings().init_data_secret
    flower = {"FLOWER_PASSWORD": keys["FLOWER_BASIC_AUTH"].partition(":")[2]}
    return {"TOKEN": TOKEN, "TOKEN_SECRET": TOKEN.partition(":")[2], "INIT_DATA_SECRET": secret, **keys, **flower}


def drive_all(run: Run, redis: Redis) -> None:
    """Run every code path."""
    service, fake, key = run.service, run.fake, run.secrets["URL_SIGNING_KEYS"]
    notes, flower = Notebook(service.url), Notebook(f"http://127.0.0.1:{service.environment['FLOWER_PORT']}")
    operator, is_long = ("admin", run.secrets["FLOWER_PASSWORD"]), run.log_format == "text"
    drive.await_flower(flower, operator)
    file_ids, user_ids = drive.spoil_everything(fake, but=drive.HALTING if is_long else (*drive.HALTING, *drive.SLOW))
    drive.ask_for_all(notes, service.as_server, file_ids, user_ids)
    drive.spoil_the_queue(redis, run.socket, "123456789")
    user = {"Authorization": "tma " + init_data({"id": 42, "first_name": "Ann"}, token=TOKEN)}
    drive.call_every_route(notes, service.as_server, user, key, fake.world.add_file(make_picture()))
    drive.be_refused(notes, service.as_server, TOKEN, key)
    drive.speak_no_http(notes, service.api_key)
    drive.wait_until_spoilt(fake)
    for name in drive.HALTING if is_long else ():
        drive.halt(notes, redis, fake, service.as_server, name)
    if is_long:
        wait_until(lambda: run.read_logs().count("cut at the total deadline") > 1, 240)
        drive.read_flower(flower, operator)
    drive.disturb_redis(redis, notes, service.as_server)
    drive.read_flower(flower, operator)
    diagnose_all(run)
    for words in drive.list_commands(fake.world.add_file(make_picture())):
        run.run_command("with Redis", *words)
    run.places |= {f"web {name}": held for name, held in notes.places.items()}
    run.places |= {f"Flower {name}": held for name, held in flower.places.items()}


def diagnose_all(run: Run) -> None:
    """Run diagnose with each option, with a healthy Telegram, with malformed answers, and without Telegram."""
    run.fake.fail("getMe", "redirect", location=f"{run.fake.url}/bot{TOKEN}/getMe")
    run.fake.fail("getMe", "odd-headers")
    all_options = ((), ("--json", "--partners", "3"), ("--json",), ("--partners", "x"), ("--help",))
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda options: run.diagnose("with Telegram", *options), all_options))
    run.fake.stop()
    run.diagnose("without Telegram", "--json")
    run.fake.start()


def collect(run: Run, redis: Redis, taps: dict[str, Wiretap]) -> None:
    """Collect everything that was written, sent or shown."""
    run.places |= read_redis(redis)
    run.places |= read_files(run.service.data_dir.parent)
    run.places |= read_command_lines()
    run.places |= {name: bytes(tap.heard) for name, tap in taps.items()}


def test_no_output_contains_a_secret(run: Run) -> None:
    """Generated keys may stand in the two files that hold them."""
    leaks = find_leaks(run.places, run.secrets)
    made = [
        name for name in run.secrets if run.log_format == "json" and "TOKEN" not in name and name != "INIT_DATA_SECRET"
    ]
    own = tuple(f"{when}data/{file}: {name}," for when in ("", AFTER) for file in OWN_FILES for name in made)
    assert not [leak for leak in leaks if not leak.startswith(own)]


def test_the_run_reached_every_code_path_that_handles_a_token(run: Run) -> None:
    """Each of these log lines ends one such path; without them the run would prove nothing."""
    logged = b"".join(held for name, held in run.places.items() if ".log" in name).decode(errors="replace")
    ends = SLOW_ENDS + ENDS if run.log_format == "text" else ENDS
    assert [end for end in ends if end not in logged] == []


def test_the_run_produced_every_status_and_every_kind_of_output(run: Run) -> None:
    def held(start: str) -> bytes:
        return b"".join(text for name, text in run.places.items() if name.startswith(start))

    seen = {int(name[-3:]) for name in run.places if name.startswith("web ") and name[-3:].isdecimal()}
    assert seen >= STATUSES
    assert {f"{AFTER}run.log", "data/running.env", "data/run/supervisord.conf"} <= set(run.places)
    assert b"EVALSHA" in held("MONITOR")
    assert b":done" in held("PSUBSCRIBE")
    assert b"budget" in held("Redis")
    assert b"AgACAg" in held("Flower")  # the arguments of the tasks
    assert b"gunicorn" in held("process")
    assert b"Does the bot answer" in held("diagnose")
    assert [said for said in ENDS_OF_THE_COMMAND if said not in held("avatar-warmer")] == []
