"""A fake Telegram Bot API on loopback: `python scripts/faketelegram`. See docs/fake-telegram.md."""

import argparse
import errno
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faketelegram import FAULTS, FakeTelegram, FieldError, demo_users
from faketelegram.backend import TOKEN
from faketelegram.fault_rules import Rule
from faketelegram.users import load

EXAMPLES = """\
examples:
  %(prog)s --port 8081
        two dozen made-up users with photos; for example:
        curl "http://127.0.0.1:8081/bot123456789:FAKE/getUserProfilePhotos?user_id=7000000001&limit=1"
  %(prog)s --port 8081 --users users.json --latency-ms 50 --connect-latency-ms 100
        your own users, and a network as slow as the real one
  %(prog)s --fault getFile=too-many-requests,times=2,retry_after=3 --fault download=truncated-body,times=forever
        two refusals, and all downloads are truncated

All faults: --list-faults. The format of users.json and everything else: docs/fake-telegram.md
"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


class ListFaults(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        for fault in FAULTS.values():
            options = "".join(f", {name}={value}" for name, value in fault.options.items())
            print(f"{fault.name:24}{', '.join(fault.only) or 'all'}: {fault.what}{options}")
        parser.exit()


def parser() -> Parser:
    shape = argparse.RawDescriptionHelpFormatter
    it = Parser("faketelegram", description=__doc__, epilog=EXAMPLES, formatter_class=shape)
    it.add_argument("--port", type=port, default=8081, help="0: any free one (default: %(default)s)")
    it.add_argument("--host", default="127.0.0.1", help="default: %(default)s; the server has no protection")
    it.add_argument("--token", type=token, default="123456789:FAKE", help="the bot's (default: %(default)s)")
    it.add_argument("--users", type=Path, metavar="FILE", help="JSON; default: two dozen made-up people")
    it.add_argument("--latency-ms", type=milliseconds, default=0.0, metavar="MS", help="per call and per download")
    it.add_argument("--connect-latency-ms", type=milliseconds, default=0.0, metavar="MS", help="per new connection")
    it.add_argument(
        "--fault",
        type=rule,
        action="append",
        default=[],
        metavar="METHOD=FAULT[,times=N][,OPTION=VALUE]...",
        help="METHOD: a method's name, download, or *; times: 1, or a number, or forever",
    )
    it.add_argument("--list-faults", action=ListFaults, nargs=0, help="list all values of --fault, and exit")
    return it


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text!r}")
    return int(text)


def token(text: str) -> str:
    if not TOKEN.fullmatch(text):
        raise argparse.ArgumentTypeError("must look like 123456789:ABC-def")
    return text


def milliseconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"must be a number of milliseconds, not {text!r}")
    return float(text) / 1000


def rule(text: str) -> Rule:
    head, *pairs = text.split(",")
    method, _, fault = head.partition("=")
    values: dict[str, object] = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    try:
        return Rule.parse({**values, "method": method, "fault": fault})
    except FieldError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    it = parser()
    switches = it.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        people = load(switches.users) if switches.users else demo_users()
        latencies = {"latency": switches.latency_ms, "connect_latency": switches.connect_latency_ms}
        fake = FakeTelegram(switches.token, switches.port, users=people, host=switches.host, **latencies)
    except FieldError as error:
        it.error(str(error))
    for scripted in switches.fault:
        fake.faults.add(scripted)
    try:
        fake.start()
    except OSError as error:
        why = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        print(f"{it.prog}: cannot listen on {fake.url}: {why}", file=sys.stderr)
        return 1
    print(f"Fake Telegram: {fake.url}", flush=True)
    ended.wait()
    fake.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
