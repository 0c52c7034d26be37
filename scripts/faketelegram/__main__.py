"""A fake Telegram Bot API on loopback: `python scripts/faketelegram`. See docs/fake-telegram.md."""

import errno
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faketelegram import FAULTS, FakeTelegram, FieldError, demo_users
from faketelegram.fault_rules import Rule
from faketelegram.users import load

EXAMPLES = """\b
Examples:
  faketelegram --port 8081
        two dozen made-up users with photos; for example:
        curl "http://127.0.0.1:8081/bot123456789:FAKE/getUserProfilePhotos?user_id=7000000001&limit=1"
  faketelegram --port 8081 --users users.json --latency-ms 50 --connect-latency-ms 100
        your own users, and a network as slow as the real one
  faketelegram --fault getFile=too-many-requests,times=2,retry_after=3 --fault download=truncated-body,times=forever
        two refusals, and all downloads are truncated

All faults: --list-faults. The format of users.json and everything else: docs/fake-telegram.md
"""
MILLISECONDS = click.FloatRange(0, 10_000_000)


def list_faults(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        for fault in FAULTS.values():
            options = "".join(f", {name}={value}" for name, value in fault.options.items())
            click.echo(f"{fault.name:24}{', '.join(fault.only) or 'all'}: {fault.what}{options}")
        context.exit()


def read_rule(text: str) -> Rule:
    head, *pairs = text.split(",")
    method, _, fault = head.partition("=")
    values: dict[str, object] = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    return Rule.parse({**values, "method": method, "fault": fault})


@click.command(help=__doc__, epilog=EXAMPLES, context_settings={"show_default": True})
@click.option("--port", type=click.IntRange(0, 65_535), default=8081, help="0: any free one.")
@click.option("--host", default="127.0.0.1", help="The server has no protection.")
@click.option("--token", default="123456789:FAKE", help="The bot's.")
@click.option("--users", "file", type=click.Path(path_type=Path), help="JSON; without it two dozen made-up people.")
@click.option("--latency-ms", type=MILLISECONDS, default=0.0, help="Per call and per download.")
@click.option("--connect-latency-ms", type=MILLISECONDS, default=0.0, help="Per new connection.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="METHOD=FAULT[,times=N][,OPTION=VALUE]...",
    help="METHOD: a method's name, download, or *; times: 1, or a number, or forever.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    callback=list_faults,
    expose_value=False,
    is_eager=True,
    help="List all values of --fault, and exit.",
)
def run(
    port: int,
    host: str,
    token: str,
    file: Path | None,
    latency_ms: float,
    connect_latency_ms: float,
    faults: Sequence[str],
) -> None:
    people = load(file) if file else demo_users()
    fake = FakeTelegram(token, port, latency_ms / 1000, connect_latency_ms / 1000, people, host=host)
    for text in faults:
        fake.faults.add(read_rule(text))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        fake.start()
    except OSError as error:
        why = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise click.ClickException(f"cannot listen on {fake.url}: {why}") from None
    click.echo(f"Fake Telegram: {fake.url}")
    ended.wait()
    fake.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status; an error is one line on stderr."""
    try:
        run.main(arguments, "faketelegram", standalone_mode=False)
    except (click.ClickException, FieldError) as error:
        told = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"faketelegram: {told}", err=True)
        return error.exit_code if isinstance(error, click.ClickException) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
