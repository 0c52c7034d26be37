"""The test's own RabbitMQ: on loopback, without privileges, in its folder, and ended with the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import amqp
import psutil
from amqp.exceptions import AMQPError

from runner.ports import free_loopback_port
from tests.support.programs import give_up
from tests.support.waiting import wait_until

SERVER = Path(
    "/usr/lib/rabbitmq/bin/rabbitmq-server"
)  # Debian's wrapper on the PATH switches the user when run by root
START_SECONDS = 240  # ten times the expected duration, beside other work


class RabbitServer:
    """A node that can be killed, paused and started again with its data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_loopback_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._log = folder / "rabbit.log"
        epmd_port = free_loopback_port()  # the port mapper of this single node
        (folder / "enabled_plugins").write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # for its cookie
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_ALLOW_INPUT": "1",  # otherwise the process is a shell with the node behind it
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(free_loopback_port()),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": f"avatars-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": str(folder / "rabbit.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._epmd = psutil.Popen(["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"])
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        with self._log.open("a") as log:
            self.process = psutil.Popen(
                [SERVER, "-noinput"], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, START_SECONDS)

    def kill(self) -> None:
        """Kill it like a kernel that is out of memory."""
        helpers = self.process.children(recursive=True)
        self.process.kill()
        self.process.wait(20)
        psutil.wait_procs(helpers, 10)

    def pause(self) -> None:
        """Suspend it: it keeps its connections and does not answer."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the pause."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End all processes."""
        if self.process.is_running():
            self.kill()
        self._epmd.kill()
        self._epmd.wait(10)

    def connect(self) -> amqp.Connection:
        """Returns a connection of the test."""
        connection = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2, read_timeout=5)
        connection.connect()
        return connection

    def _answers(self) -> bool:
        assert self.process.status() != psutil.STATUS_ZOMBIE, self._log.read_text()
        try:
            self.connect().close()
        except (AMQPError, OSError):
            return False
        return True


@contextmanager
def run_rabbit(folder: Path) -> Iterator[RabbitServer]:
    """Run a node."""
    if not SERVER.exists() or shutil.which("epmd") is None:
        give_up("no RabbitMQ on this machine")
    folder.mkdir()
    server = RabbitServer(folder)
    try:
        yield server
    finally:
        server.close()
