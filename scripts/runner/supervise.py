"""Runs the processes under supervisord: their order, and their time to stop."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from runner import leftovers
from runner.folders import empty_metrics, write_private
from runner.leftovers import KEEP_ENVIRONMENT, MARK
from runner.plan import Plan
from runner.terminal import StartFailed
from warmer.open_files import raise_open_files_limit_or_exit

OPEN_FILES = 1024  # each process inherits this limit; gunicorn raises its own further
GRACE = 25  # seconds for a process to end after SIGTERM
STOP_DEADLINE = 30.0  # seconds for all of them; then SIGKILL

SUPERVISORD = """\
[supervisord]
nodaemon = true
silent = true
nocleanup = true
minfds = {open_files}
umask = 077
logfile = {logs}/supervisord.log
logfile_maxbytes = 10MB
logfile_backups = 3
childlogdir = {logs}
pidfile = {run}/supervisord.pid
directory = {directory}
{user}
"""

# startsecs = 0: a process that ends at once restarts after a second, without a growing pause.
PROGRAM = """
[program:{name}]
command = {command}
priority = {priority}
autorestart = true
startsecs = 0
startretries = 1000000000
stopwaitsecs = {grace}
killasgroup = true
redirect_stderr = true
stdout_logfile = {twice_escaped_logs}/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""

# One group: its members get SIGTERM at the same moment, and the helpers only after they ended.
SERVICES = """
[group:services]
programs = {names}
priority = 100
"""


def config(plan: Plan) -> str:
    """Return the text of supervisord.conf, without secrets. Raises StartFailed."""
    logs = _escaped(str(plan.folders.logs))
    parts = [
        SUPERVISORD.format(
            logs=logs,
            run=_escaped(str(plan.folders.run)),
            directory=_escaped(str(Path.cwd())),
            open_files=raise_open_files_limit_or_exit(OPEN_FILES),
            user="user = root" if os.geteuid() == 0 else "",  # explicit, or supervisord warns
        )
    ]
    commands = {name: shlex.join(command) for name, command in plan.helpers.items()} | dict(plan.services)
    if len(commands) < len(plan.helpers) + len(plan.services):
        raise StartFailed(f"Procfile: {' and '.join(plan.helpers)} start without a line")
    for name, command in commands.items():
        program = shlex.split(command)[0]
        if not shutil.which(program):
            raise StartFailed(f"Procfile: {name}: there is no program {program}")
    for priority, (name, command) in enumerate(commands.items(), start=1):
        parts.append(
            PROGRAM.format(
                name=name,
                command=_escaped(command),
                priority=priority,
                grace=GRACE,
                twice_escaped_logs=_escaped(logs),  # supervisor 4.3 expands this option twice
            )
        )
    return "".join((*parts, SERVICES.format(names=",".join(plan.services))))


def start(plan: Plan) -> subprocess.Popen[bytes]:
    """Start supervisord in its own session: the terminal's signals reach only the runner.

    SIGHUP would make supervisord restart everything instead of stopping.
    """
    empty_metrics(plan.folders)
    write_private(plan.folders.supervisor_config, config(plan))
    mark = secrets.token_hex(16)
    write_private(plan.folders.mark, mark)
    with (plan.folders.logs / "supervisord-errors.log").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, str(leftovers.PROGRAM), "-c", str(plan.folders.supervisor_config)],
            env={**os.environ, **KEEP_ENVIRONMENT, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def stop(supervisord: subprocess.Popen[bytes]) -> None:
    """Let supervisord end all processes in order: the services together, then the helpers."""
    supervisord.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        supervisord.wait(STOP_DEADLINE)


def _escaped(value: str) -> str:
    """Escape a value for supervisord's configuration, where % expands."""
    return value.replace("%", "%%")
