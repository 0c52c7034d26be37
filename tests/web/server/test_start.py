"""What gunicorn does before it starts its processes, and what each of them does first."""

from __future__ import annotations

import errno
import gc
import logging
import runpy
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from tests.support.redis_kinds import list_masters
from tests.support.running import ROOT
from tests.support.waiting import wait_until
from warmer.cli.web_check import count_web_processes
from warmer.photo_urls import RELATIVE
from web.wiring import get_web_context


@pytest.mark.parametrize(("host", "warnings"), [("0.0.0.0", 1), ("127.0.0.1", 0)])
def test_the_start_tells_once_that_photo_urls_are_paths(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, warnings: int
) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setattr(logging, "captureWarnings", lambda _: None)  # it would last beyond this test
    runpy.run_path(str(ROOT / "gunicorn.conf.py"))["on_starting"](None)
    assert [record.message for record in caplog.records] == [RELATIVE] * warnings


def test_the_heartbeats_get_a_folder_although_shared_memory_and_the_usual_ones_are_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gunicorn would end at its start. A whole service on such a disk: tests/faults/test_disk.py."""
    take_file, full = tempfile.TemporaryFile, {"/dev/shm", "/tmp", "/var/tmp"}  # noqa: S108 - they are only named

    def take_file_if_there_is_room(**where: Any) -> Any:
        if where["dir"] in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return take_file(**where)

    server: dict[str, Any] = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    monkeypatch.setattr(tempfile, "TemporaryFile", take_file_if_there_is_room)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert server["_find_heartbeat_folder"]() == str(tmp_path)
    full |= {str(tmp_path), "."}
    assert server["_find_heartbeat_folder"]() is None


def test_a_process_names_the_rights_that_redis_denies_at_its_start(
    app: Flask, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    server: dict[str, Any] = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    try:
        for master in list_masters(redis):
            master.execute_command("ACL", "SETUSER", "default", "-zadd")
        server["post_worker_init"](SimpleNamespace(wsgi=app))
    finally:
        gc.unfreeze()
        for master in list_masters(redis):
            master.execute_command("ACL", "SETUSER", "default", "+zadd")
    assert "Redis denies this user: +zadd " in caplog.text


def test_a_process_listens_before_its_first_request(app: Flask, redis: Redis) -> None:
    server: dict[str, Any] = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    try:
        server["post_worker_init"](SimpleNamespace(wsgi=app))
    finally:
        gc.unfreeze()
    wait_until(lambda: count_web_processes(redis, get_web_context(app).keys) == 1)
