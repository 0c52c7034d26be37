"""How scripts/run starts and stops its processes: the real program, with stubs in the Procfile."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import psutil
import pytest
from dotenv import dotenv_values

from tests.conftest import wait_until
from tests.support.stub_service import PATIENCE, PROCFILE, WEB, StubService
from warmer.photo_urls import RELATIVE
from warmer.sources import FOLDER

EXTERNAL = {"TELEGRAM_BOT_TOKEN": "1:token", "REDIS_URL": "redis://127.0.0.1:1", "API_KEYS": "k" * 16}
EXTERNAL["URL_SIGNING_KEYS"] = "k" * 32


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubService]:
    """A start with no setting but ports; tests leave it unchanged."""
    service = StubService(tmp_path_factory.mktemp("started"))
    try:
        service.start_up()
        yield service
    finally:
        service.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[StubService]:
    """A folder with the settings of an outside Redis and a real bot; every process that a test starts is ended."""
    service = StubService(tmp_path / "a service, 100%", **EXTERNAL)
    try:
        yield service
    finally:
        service.stop()


def test_the_start_prints_the_url_of_the_page_with_a_key_that_is_in_no_file(started: StubService) -> None:
    key = json.loads((started.folder / "environment.json").read_text())["PAGE_KEY"]
    assert f"Avatars are warm at http://127.0.0.1:{started.environ['PORT']}/?key={key}\n" in started.said()
    files = [path for path in started.data.rglob("*") if path.is_file()]
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_the_start_tells_that_other_sites_cannot_show_photo_urls(service: StubService) -> None:
    service.start_up()
    assert RELATIVE in service.said()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("unauthorized", "Telegram refuses TELEGRAM_BOT_TOKEN"),
        ("logged_out", "The bot is logged out at Telegram"),
        ("unreachable", "Telegram is unreachable"),
    ],
)
def test_the_start_tells_that_the_bot_can_fetch_no_picture(service: StubService, state: str, told: str) -> None:
    (service.folder / "web.py").write_text(WEB.replace('"bot": "ok"', f'"bot": "{state}"'))
    service.start_up()
    assert re.search(rf"Avatars are warm at .*\n.*{told}", service.said())


def test_each_start_makes_a_new_page_key(service: StubService) -> None:
    keys = set()
    for _ in range(2):
        service.environ["PAGE_KEY"] = "a-key-that-the-environment-still-holds"
        service.start_up()
        keys |= set(re.findall(r"/\?key=(\S{32,})\n", service.said()))
        service.stop()
    assert len(keys - {service.environ["PAGE_KEY"]}) == 2


def test_the_procfiles_lines_and_the_helpers_of_a_demo_run(started: StubService) -> None:
    lines = [line.partition(": ")[2].removeprefix("env LANE=100%% ") for line in PROCFILE.splitlines()]
    running = {name: child.cmdline() for name, child in started.children().items()}
    assert sorted(running) == ["redis", "telegram", "web", "worker"]
    assert [running["web"], running["worker"]] == [shlex.split(line) for line in lines]
    assert started.children()["worker"].environ()["LANE"] == "100%%"


def test_the_children_get_the_made_settings(started: StubService) -> None:
    environ = json.loads((started.folder / "environment.json").read_text())
    running = dotenv_values(started.data / "running.env")
    assert {name: environ[name] for name in running} == running
    assert (environ["DEMO"], environ["HOST"], environ["DATA_DIR"]) == ("1", "127.0.0.1", str(started.data))
    assert Path(environ["PROMETHEUS_MULTIPROC_DIR"]).is_dir()


def test_a_demo_registers_its_partners(started: StubService) -> None:
    key = dotenv_values(started.data / "keys.env")["API_KEYS"]
    registered = (started.folder / "registered").read_text().splitlines()
    assert len(set(registered)) == 24
    assert all(re.fullmatch(rf"/api/partner/\d+ Bearer {key}", line) for line in registered)


def test_the_embedded_redis_has_a_private_socket_and_no_tcp_port(started: StubService) -> None:
    redis = started.children()["redis"]
    assert redis.net_connections(kind="inet") == []
    [sock] = [Path(str(conn.laddr)) for conn in redis.net_connections(kind="unix") if conn.laddr]
    assert S_IMODE(sock.parent.stat().st_mode) == 0o700
    assert len(str(sock)) < 100


def test_only_the_owner_can_read_the_keys_and_no_command_line_contains_them(started: StubService) -> None:
    modes = {name: S_IMODE((started.data / name).stat().st_mode) for name in (".", "keys.env", "running.env")}
    assert modes == {".": 0o700, "keys.env": 0o600, "running.env": 0o600}
    seen = (started.data / "run/supervisord.conf").read_text()
    seen += str([process.cmdline() for process in psutil.Process(started.process.pid).children(recursive=True)])
    assert not [key for key in dotenv_values(started.data / "keys.env").values() if str(key) in seen]


def test_a_second_start_is_refused_and_the_first_keeps_running(started: StubService) -> None:
    second = StubService(started.folder / "second", DATA_DIR=str(started.data))
    assert re.fullmatch(r"avatar-warmer: already running in .*\n", second.fail())
    assert (started.data / "running.env").exists()


@pytest.mark.parametrize("name", ["redis", "worker"])
def test_a_killed_process_is_restarted(started: StubService, name: str) -> None:
    killed = started.children()[name]
    killed.kill()
    wait_until(lambda: started.children().get(name, killed) != killed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_end_every_process(service: StubService, number: int) -> None:
    service.start_up()
    everything = psutil.Process(service.process.pid).children(recursive=True)
    assert service.stop(number) == 0
    assert [process for process in everything if process.is_running()] == []
    assert not (service.data / "running.env").exists()


def test_ctrl_c_while_a_server_is_checked_starts_nothing(service: StubService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        service.environ["REDIS_URL"] = f"rediss://127.0.0.1:{silent.getsockname()[1]}"
        service.start()
        checked, _ = silent.accept()
        with checked:
            assert service.stop(signal.SIGINT) == 0
    assert service.said() == ""


def test_a_start_ends_the_processes_of_a_killed_one(service: StubService) -> None:
    service.start_up()
    left = psutil.Process(service.process.pid).children(recursive=True)
    service.process.kill()
    service.process.wait()
    service.supervisord().kill()
    service.start_up()
    assert "An earlier start was killed: ended 2 of its processes." in service.said()
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_start_without_its_supervisor_ends_all_processes_with_a_message(service: StubService) -> None:
    service.start_up()
    left = service.supervisord().children()
    service.supervisord().kill()
    assert service.process.wait(PATIENCE) == 1
    assert "avatar-warmer: supervisord ended" in service.said()
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_web_process_that_does_not_start_is_named_with_the_end_of_its_log(service: StubService) -> None:
    (service.folder / "web.py").write_text("raise SystemExit('no room left')")
    said = service.fail()
    assert "avatar-warmer: web did not come up" in said
    assert said.endswith("no room left\n")


def test_a_bot_with_a_token_is_never_a_demo(service: StubService) -> None:
    (service.folder / ".env").write_text("DEMO=1\n")
    service.start_up()
    assert json.loads((service.folder / "environment.json").read_text())["DEMO"] == "0"
    assert sorted(service.children()) == ["web", "worker"]


def test_an_unusual_environment_starts(tmp_path: Path) -> None:
    """An ASCII locale, a Service named flower in Kubernetes, optimized and isolated modules, few open files."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    odd = {"FLOWER_PORT": "tcp://10.3.0.7:5555", "PYTHONSAFEPATH": "1", "PYTHONOPTIMIZE": "2"}
    service = StubService(tmp_path / "Žluť-данные, 100%", **EXTERNAL | locale | odd)
    service.prefix = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"]
    try:
        service.start_up()
        environ = json.loads((service.folder / "environment.json").read_text())
        assert (environ["DATA_DIR"], environ["FLOWER_PORT"].isdecimal()) == (str(service.data), True)
    finally:
        service.stop()


def test_too_few_open_files_stop_the_start_with_one_line(service: StubService) -> None:
    service.prefix = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]
    line = "avatar-warmer: ulimit -n: 64 open files are too few for a process: allow 256 or more"
    assert service.fail().splitlines()[-1] == line


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PORT", "none", "PORT: "),
        ("URL_SIGNING_KEYS", "short", "URL_SIGNING_KEYS: "),
        ("API_KEYS", "", "API_KEYS: is missing"),
        ("DATA_DIR", "/dev/null/data", "DATA_DIR: "),
        ("TELEGRAM_BOT_TOKEN", "", "TELEGRAM_BOT_TOKEN: is missing"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    service: StubService, name: str, value: str, complaint: str
) -> None:
    service.environ.update({"TELEGRAM_API_URL": "https://telegram.example", name: value})
    assert re.fullmatch(rf"avatar-warmer: {complaint}.*\n", service.fail())


def test_a_taken_given_port_stops_the_start(service: StubService) -> None:
    with socket.create_server(("127.0.0.1", int(service.environ["PORT"]))):
        assert service.fail() == f"avatar-warmer: PORT: {service.environ['PORT']} is taken\n"


def test_settings_are_read_from_the_env_file(service: StubService) -> None:
    (service.folder / ".env").write_text(f"PORT={service.environ['PORT']}\nTELEGRAM_BOT_TOKEN=not a token\n")
    del service.environ["TELEGRAM_BOT_TOKEN"]
    assert service.fail().startswith("avatar-warmer: TELEGRAM_BOT_TOKEN: is not of the form")


def test_a_start_for_another_folder_reads_its_env_file_and_keeps_its_data_there(
    service: StubService, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / ".env").write_text(f"TELEGRAM_BOT_TOKEN={service.environ.pop('TELEGRAM_BOT_TOKEN')}\n")
    service.environ[FOLDER] = str(folder)
    service.start_up()
    assert "Logs: data/logs\n" in service.said()
    assert (folder / "data" / "running.env").exists()
    assert not service.data.exists()
    assert json.loads((service.folder / "environment.json").read_text())["DATA_DIR"] == str(folder / "data")


def test_the_name_of_a_line_starts_that_process_alone_and_makes_no_setting(service: StubService) -> None:
    service.prefix = ["sh", "-c", 'exec "$@" web', "sh"]
    service.start()
    found = service.folder / "environment.json"
    wait_until(lambda: found.exists() and found.read_text().endswith("}"))
    process = psutil.Process(service.process.pid)
    assert (process.cmdline(), process.children()) == (["python", "web.py"], [])
    environ = json.loads(found.read_text())
    assert environ["PATH"].startswith(str(Path(sys.prefix) / "bin"))
    assert EXTERNAL.items() <= environ.items()
    assert environ.keys().isdisjoint({"PAGE_KEY", "FLOWER_BASIC_AUTH"})
    assert not service.data.exists()


@pytest.mark.parametrize(
    ("words", "told"), [("nope", "no line 'nope': name one of web, worker"), ("web worker", "one")]
)
def test_another_argument_than_the_name_of_a_line_causes_one_line(service: StubService, words: str, told: str) -> None:
    service.prefix = ["sh", "-c", f'exec "$@" {words}', "sh"]
    assert service.start().wait(PATIENCE) == 2
    assert re.fullmatch(rf"avatar-warmer: [^\n]*{told}[^\n]*\n", service.said())


def test_made_files_are_in_the_data_folder_only(started: StubService) -> None:
    assert {path.name for path in started.data.iterdir()} == {"keys.env", "logs", "redis", "run", "running.env"}
    assert os.listdir(started.data / "run/metrics") == []  # noqa: PTH208 - emptied at the start
