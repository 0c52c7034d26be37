"""The processes of a measurement: Redis and this service, each on its cores."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from redis import Redis
from redis.exceptions import RedisError

from benches.extent import choose
from faketelegram import FakeTelegram
from runner import procfile, redis_server
from warmer.keys import Keys
from warmer.photo_urls import sign
from warmer.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
SIZE, FORMAT = 160, "webp"
PATIENCE = choose(120.0, 900.0)  # seconds for a process to answer; a quick run may share its machine
Cores = Sequence[int]
BOTH: Cores = (0, 1)


def wait_for(what: str, is_there: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until `is_there` returns something true; raises TimeoutError, which names `what`."""
    end = time.monotonic() + patience
    while not is_there():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is missing after {patience:.0f} s")
        time.sleep(0.02)


@contextmanager
def pinned(cores: Cores) -> Iterator[None]:
    """Processes that are started in this block run on these cores."""
    if not hasattr(os, "sched_setaffinity"):  # macOS cannot pin processes
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def process(
    command: Sequence[str], cores: Cores, log: Path, environment: dict[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[psutil.Process]:
    """A process on these cores, in its own group, which ends with the block."""
    with log.open("a") as out:
        with pinned(cores):
            child = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        proc = psutil.Process(child.pid)
        try:
            yield proc
        finally:
            family = [proc, *proc.children(recursive=True)] if child.poll() is None else []
            child.terminate()
            _, alive = psutil.wait_procs(family, 25)
            for one in alive:
                one.kill()
            child.wait()


@dataclass
class Testbed:
    """A folder, the environment of this service's processes, and the processes that run already."""

    folder: Path
    environment: dict[str, str]
    stack: ExitStack = field(repr=False)
    redis_url: str = ""

    @property
    def keys(self) -> Keys:
        """The keys of its bot."""
        names = ("TELEGRAM_BOT_TOKEN", "API_KEYS", "URL_SIGNING_KEYS")
        given = {name.lower(): self.environment[name] for name in names}
        settings = load_settings(**given, redis_url="redis://unused")
        return Keys(settings.bot_id)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a backend's requests."""
        return {"Authorization": f"Bearer {self.environment['API_KEYS']}"}

    def path_of(self, file_id: str, size: int = SIZE) -> str:
        """The signed path of a picture."""
        signature = sign(self.environment["URL_SIGNING_KEYS"], f"file:{file_id}")
        return f"/api/photos/file/{file_id}?size={size}&sig={signature}"

    def start(self, command: Sequence[str], cores: Cores = BOTH, **settings: str) -> psutil.Process:
        """Start a process; it ends with the testbed."""
        log = self.folder / f"{Path(command[0]).name}.log"
        return self.stack.enter_context(process(command, cores, log, self.environment | settings))

    def start_redis(self, cores: Cores = BOTH, maxmemory: str = "512mb", port: int = 0) -> Redis:
        """Start an embedded Redis as `scripts/run` does; with a port, for peers without unix sockets."""
        socket = self.folder / "redis.sock"
        (self.folder / "redis").mkdir()
        program = redis_server.find_server()
        command = redis_server.command(program, socket=socket, folder=self.folder / "redis", maxmemory=maxmemory)
        self.start([*command, "--port", str(port), "--bind", "127.0.0.1"], cores)
        self.redis_url = f"unix://{socket}?db=0"
        self.environment["REDIS_URL"] = self.redis_url
        redis = Redis.from_url(self.redis_url)
        wait_for("Redis", lambda: answers(redis))
        return redis

    def start_telegram(self, latency: float = 0.0) -> FakeTelegram:
        """Start a fake Telegram in this process; a call takes this many seconds."""
        telegram = self.stack.enter_context(FakeTelegram(self.environment["TELEGRAM_BOT_TOKEN"], latency=latency))
        self.environment["TELEGRAM_API_URL"] = telegram.url
        return telegram

    def start_web(self, port: int, cores: Cores, *options: str, **settings: str) -> psutil.Process:
        """Start the web tier as the Procfile does."""
        return self.start([*self._line("web"), *options], cores, HOST="127.0.0.1", PORT=str(port), **settings)

    def start_worker(self, cores: Cores, *options: str, name: str = "worker", **settings: str) -> psutil.Process:
        """Start a worker as the Procfile does."""
        return self.start([*self._line(name), *options], cores, **settings)

    def start_beat(self, cores: Cores = BOTH) -> psutil.Process:
        """Start beat as the Procfile does."""
        return self.start(self._line("beat"), cores)

    def start_workers(self, cores: Cores) -> list[psutil.Process]:
        """Start every worker of the Procfile."""
        return [self.start_worker(cores, name=name) for name in list_workers()]

    def _line(self, name: str) -> list[str]:
        """A line of the Procfile, with programs from this environment."""
        words = shlex.split(procfile.read(ROOT / "Procfile")[name])
        return [str(Path(sys.executable).parent / words[0]), *words[1:]]


@contextmanager
def open_testbed(**settings: str) -> Iterator[Testbed]:
    """A testbed without processes, in a folder of its own with a short path: a socket lies in it."""
    with TemporaryDirectory(prefix="aw-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "metrics").mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
            "DATA_DIR": str(folder),
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
            "PYTHONUNBUFFERED": "1",
            "TELEGRAM_BOT_TOKEN": "123456789:FAKE-made-up-for-the-benchmark",
            "API_KEYS": "a-key-for-the-benchmark",
            "URL_SIGNING_KEYS": "a-signing-key-for-the-benchmark-only",
            "TELEGRAM_RATE": "100000",
            **settings,
        }
        yield Testbed(folder, environment, stack)


def list_workers() -> dict[str, str]:
    """The worker lines of the Procfile, by name."""
    lines = procfile.read(ROOT / "Procfile")
    return {name: line for name, line in lines.items() if name.startswith("worker")}


def answers(redis: Redis) -> bool:
    """Returns True once the server answers."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False
