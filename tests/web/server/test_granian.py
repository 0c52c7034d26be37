"""The web tier under a server that configures no logging and checks nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.redis_nodes import RedisServer
from tests.support.running import ROOT
from tests.support.servers import Certificate, OneAnswer
from tests.support.waiting import wait_until
from warmer.photo_urls import RELATIVE

CREATE = "from web.server.granian import create_app; create_app()"


def run(code: str, before: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run this code in a process, after a line of shell."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    command = ["sh", "-c", f'{before or ":"}; exec "$@"', "sh", sys.executable, "-c", path + code]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)


def test_the_app_configures_logging_and_freezes_the_heap() -> None:
    done = run(f"import gc, logging; {CREATE}; logging.getLogger('web').info('seen'); print(gc.get_freeze_count())")
    assert int(done.stdout) > 10_000, done.stderr
    assert done.stderr.endswith(" INFO web: seen\n")


def test_the_app_listens_before_its_first_request() -> None:
    done = run(f"import threading; {CREATE}; print([thread.name for thread in threading.enumerate()])")
    assert "'listener'" in done.stdout, done.stderr


def test_the_start_tells_that_photo_urls_are_paths() -> None:
    assert f" WARNING web: {RELATIVE}\n" in run(CREATE, HOST="0.0.0.0").stderr


def test_a_redis_that_is_not_trusted_ends_the_start_with_one_line(certificate: Certificate) -> None:
    with OneAnswer(certificate=certificate) as server:
        done = run(CREATE, REDIS_URL=f"rediss://127.0.0.1:{server.port}", CELERY_BROKER_URL="redis://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("avatar-warmer: REDIS_URL: does not trust 127.0.0.1:")
    assert done.stderr.count("\n") == 1


def test_too_few_open_files_end_the_start_with_one_line() -> None:
    done = run(CREATE, before="ulimit -n 255")
    assert done.returncode == 1
    assert done.stderr == "avatar-warmer: ulimit -n: 255 open files are too few for a process: allow 256 or more\n"


def test_the_start_names_the_rights_that_redis_denies(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        server.client.acl_setuser("avatars", enabled=True, passwords="+password", keys=["*"], categories=["+@read"])
        url = server.url.replace("//", "//avatars:password@")

        def is_told() -> bool:
            """A start looks only once, and a busy machine's Redis may answer too late."""
            done = run(CREATE, REDIS_URL=url, CELERY_BROKER_URL="redis://127.0.0.1:1")
            assert done.returncode == 0, done.stderr
            return "Redis denies this user: " in done.stderr

        wait_until(is_told)
