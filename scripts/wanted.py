"""Print what the project asks for: to run, to be built, and for the extras that are named.

Read, not built: a build would run a setuptools that no hash was checked of.
"""

import configparser
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(extras: list[str]) -> None:
    """One requirement a line."""
    project = configparser.ConfigParser()
    project.read(ROOT / "setup.cfg", "utf-8")
    builder = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    print(project["options"]["install_requires"], *builder, sep="\n")
    for extra in extras:
        print(project["options.extras_require"][extra])


if __name__ == "__main__":
    main(sys.argv[1:])
