"""Print deploy/monitoring/alerts.yml with absolute links into the runbook, if DOCS_URL or PUBLIC_URL is set.

python deploy/alerts.py > /etc/prometheus/avatar-warmer.yml
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from warmer.http_url import check_public_url
from warmer.observe.verdict import find_runbook
from warmer.sources import read_given

RULES = Path(__file__).resolve().parent / "monitoring" / "alerts.yml"
LINK = "runbook: docs/runbook.md#"


def main() -> None:
    """The settings come from the environment and `.env`, as those of the service."""
    given = read_given()
    runbook = find_runbook(*(check_public_url(given.get(name, "")) for name in ("DOCS_URL", "PUBLIC_URL")))
    print(RULES.read_text("utf-8").replace(LINK, f"runbook: {runbook}#"), end="")


if __name__ == "__main__":
    main()
