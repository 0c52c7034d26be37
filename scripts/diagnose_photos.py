"""The same as `avatar-warmer diagnose`, under the name that it had first."""

import sys

from warmer.cli import main

main(["diagnose", *sys.argv[1:]])
