"""Are the pictures where they should be? The same as `avatar-warmer diagnose`, without an installed command.

    scripts/diagnose_photos.py [--json] [--partners 20]

Exit status: 0 all well, 1 something is wrong, 2 it could not be asked.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from warmer.cli import main

if __name__ == "__main__":
    main(["diagnose", *sys.argv[1:]])
