"""`avatar-warmer webhook`"""

from __future__ import annotations

from dataclasses import asdict

import click

from warmer.cli.common import as_json, count, echo_json, opened_worker_context


@click.command()
@click.option("--resume", is_flag=True, help="Deliver events again after the receiver has answered 410.")
@as_json
def webhook(resume: bool, is_json: bool) -> None:
    """Show what is not delivered to WEBHOOK_URL.

    \b
    Examples:
      avatar-warmer webhook
      avatar-warmer webhook --resume
    """
    with opened_worker_context() as context:
        if context.delivery is None:
            raise click.ClickException("WEBHOOK_URL is not set")
        outbox = context.delivery.outbox
        if resume:
            outbox.resume()
        state = outbox.look()
    if is_json:
        echo_json(asdict(state))
        return
    word = (
        "Stopped: the receiver answered 410." if state.is_stopped else "Failing." if state.failures else "Delivering."
    )
    click.echo(word)
    click.echo(f"{count(state.ids, 'id')} with events to deliver, {count(state.failures, 'failure')} in a row.")
    for event in state.dead:
        click.echo(f"Given up: {event.type} of {event.subject}: {event.reason}.")
