"""Tries the deployment: `scripts/try-deployment guide` or `image`."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from trial import guide, image
from trial.machine import check_needs
from trial.shell import Failed

KINDS = {"guide": guide.follow, "image": image.follow}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)), default="guide")
@click.option("--keep", is_flag=True, help="Keep the folder with the machine's files.")
def main(kind: str, keep: bool) -> None:
    """Follow docs/deployment.md on an empty Debian (guide), or the Dockerfile and the compose file (image)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the machine ends with its trial
    try:
        check_needs()
        folder = Path(tempfile.mkdtemp(prefix="try-deployment-"))
        folder.chmod(0o755)  # the machine's users go through it
        try:
            KINDS[kind](folder)
        finally:
            if keep:
                print(f"kept: {folder}")
            else:
                shutil.rmtree(folder)
    except Failed as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
