"""The ports and socket paths that a start chooses."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from runner import folders, ports
from runner.terminal import StartFailed


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path, for what stands outside DATA_DIR."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
        ports.release()


def test_a_taken_default_port_gives_way_to_the_next_free_one_with_a_message(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        found = ports.choose("PORT", taken, host="127.0.0.1", chosen=False)
    assert found > taken
    assert capfd.readouterr().out == f"Port {taken} is taken: PORT is {found} this time.\n"


def test_a_taken_given_port_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(StartFailed, match=r"^PORT: \d+ is taken$"):
        ports.choose("PORT", other.getsockname()[1], host="0.0.0.0", chosen=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of the machine")
def test_a_port_with_a_listener_on_another_address_is_free() -> None:
    with socket.create_server(("127.0.0.1", ports.free_loopback_port())) as other:
        port = other.getsockname()[1]
        assert ports.choose("PORT", port, host="127.0.0.2", chosen=True) == port


def test_two_concurrent_starts_do_not_choose_the_same_port() -> None:
    port = ports.free_loopback_port()
    first = ports.choose("FLOWER_PORT", port, host="127.0.0.1", chosen=False)
    second = ports.choose("FLOWER_PORT", port, host="127.0.0.1", chosen=False)
    assert first != second


def test_an_address_of_another_machine_is_an_error_with_its_name() -> None:
    with pytest.raises(StartFailed, match=r"^HOST: '192\.0\.2\.1' is no address of this machine$"):
        ports.choose("PORT", ports.free_loopback_port(), host="192.0.2.1", chosen=False)


@pytest.mark.parametrize("name", ["long" * 30, "with space", "100%"])
def test_a_socket_gets_a_short_path_in_a_private_folder(tmp_path: Path, outside: Path, name: str) -> None:
    places = folders.make(tmp_path / name)
    socket_path = folders.socket_path(places, "redis.sock")
    assert (socket_path.parent.parent, len(str(socket_path)) < 100) == (outside, True)
    assert S_IMODE(socket_path.parent.stat().st_mode) == 0o700


def test_paths_that_are_too_long_for_a_socket_are_refused_by_name(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (far := outside / ("x" * 100)).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(far))
    with pytest.raises(StartFailed, match=r"^DATA_DIR: is too long a path for a socket"):
        folders.socket_path(folders.make(far / "data"), "redis.sock")


@pytest.mark.parametrize("name", ["two\nlines", "a ;b", "a #b", os.fsdecode(b"latin-\xe9")])
def test_a_data_folder_that_the_configuration_cannot_hold_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartFailed, match=r"^DATA_DIR: [^\n]*\Z"):
        folders.make(tmp_path / name)


def test_a_folder_that_other_users_may_enter_is_refused(outside: Path) -> None:
    folders.private_folder().chmod(0o755)
    with pytest.raises(StartFailed, match=f"^{outside}.* is not a private folder"):
        folders.private_folder()


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "documents").write_text("")
    tmp_path.chmod(0o755)
    folders.make(tmp_path)
    assert S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_no_outgoing_connection_can_take_a_port_before_its_server_listens() -> None:
    first_outgoing = 32_768  # of Linux, in ip_local_port_range; macOS begins later
    assert all(ports.free_loopback_port() < first_outgoing for _ in range(50))


def test_a_port_with_a_listener_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", ports.free_loopback_port())) as other:
        monkeypatch.setattr(ports, "SYSTEM_NEVER_GIVES", [other.getsockname()[1]])
        with pytest.raises(StartFailed, match=r"^no port of this machine is free$"):
            ports.free_loopback_port()
