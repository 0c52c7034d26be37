"""A project that needs one wheel, with a real venv and pip, for the tests of scripts/setup/environment.sh."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TOOLS = ("bash", "cat", "cmp", "dirname", "env", "grep", "mkdir", "readlink", "rm", "sh", "sleep", "tail")
PYTHON = getattr(sys, "_base_executable", sys.executable)  # not that of a virtual environment
REAL = f'#!/bin/sh\nexec "{PYTHON}" "$@"\n'
# A stub answers the questions for its program and its version, and does one thing for `-I -m venv .venv`.
STUB = """\
#!/bin/sh
case "$*" in
  *_base_executable*) echo "$0" ;;
  *version_info*) exit {too_old} ;;
  -V) echo Python {version} ;;
  *ensurepip*) exit {no_venv} ;;
  *fcntl*) exec "{python}" "$@" ;;
  *) {make} ;;
esac
"""
BACKEND = '''\
"""Builds the project: nothing but its name."""
from zipfile import ZipFile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "small-1-py3-none-any.whl"
    with ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        wheel.writestr("small-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("small-1.dist-info/RECORD", "")
    return name
'''
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
MAIN = 'import sys, locked\nprint("version", locked.VERSION, "in", sys.prefix, *sys.argv[1:])\n'


class SmallProject:
    """A project with our scripts, and a PATH with the interpreters that a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.wheels = folder / "project", folder / "bin", folder / "wheels"
        self.venv = self.folder / ".venv"
        self.environ = {"PATH": str(self.bin), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        self.prefix: list[str] = []  # of the command
        self.bin.mkdir()
        self.wheels.mkdir()
        (self.folder / "requirements").mkdir(parents=True)
        (self.folder / "scripts/setup").mkdir(parents=True)
        (self.folder / "scripts/runner").mkdir()
        for name in ("run", "test", "setup/environment.sh"):
            shutil.copy(SCRIPTS / name, self.folder / "scripts" / name)
        contents = {"scripts/runner/__main__.py": MAIN, "backend.py": BACKEND, "pyproject.toml": BUILD, "setup.cfg": ""}
        for name, text in contents.items():
            (self.folder / name).write_text(text)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.lock(1)

    def lock(self, version: int, *, is_there: bool = True) -> None:
        """Require this version of the wheel, which pip may find or not."""
        files = {"METADATA": f"Metadata-Version: 2.1\nName: locked\nVersion: {version}\n", "WHEEL": WHEEL, "RECORD": ""}
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as wheel:
            for name, text in {f"locked-{version}.dist-info/{name}": text for name, text in files.items()}.items():
                wheel.writestr(zipfile.ZipInfo(name), text)  # without the current time, so that the hash stays the same
            wheel.writestr(zipfile.ZipInfo("locked.py"), f"VERSION = {version}\n")
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        (self.folder / "requirements/run.lock").write_text(f"locked=={version} --hash=sha256:{digest}\n")
        if is_there:
            (self.wheels / f"locked-{version}-py3-none-any.whl").write_bytes(content.getvalue())

    def put_python(self, name: str = "python3") -> None:
        """Put the interpreter of these tests on the PATH."""
        self._put(self.bin / name, REAL)

    def put_stub(
        self, name: str = "python3", version: str = "3.12.1", too_old: int = 0, no_venv: int = 0, make: str = "exit 1"
    ) -> None:
        answers = {"version": version, "too_old": too_old, "no_venv": no_venv, "make": make, "python": PYTHON}
        self._put(self.bin / name, STUB.format(**answers))

    def pretend_to_have_pytest(self) -> None:
        """Make an environment for scripts/test whose pytest only reports that it ran."""
        (self.folder / "requirements/test.lock").touch()
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "test.installed").touch()
        (self.venv / "whole").write_text(f"{self.folder}\n")
        self._put(self.venv / "bin/python", "#!/bin/sh\n")
        self._put(self.venv / "bin/pytest", '#!/bin/sh\necho "pytest ran $*"\n')

    def start(self, script: Path | None = None) -> subprocess.Popen[str]:
        """Start scripts/run, or a link to it, from another folder."""
        pipe, command = subprocess.PIPE, [*self.prefix, str(script or self.folder / "scripts/run"), "x"]
        return subprocess.Popen(command, cwd="/", env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def run(self, script: Path | None = None) -> tuple[str, str]:
        """Run a start that succeeds. Returns its stdout and stderr."""
        process = self.start(script)
        printed, said = process.communicate()
        assert process.returncode == 0, said
        return printed, said

    def fail(self) -> str:
        """Run a start that fails. Returns its stderr."""
        process = self.start()
        printed, said = process.communicate()
        assert (process.returncode, printed) == (1, "")
        return said

    def _put(self, program: Path, text: str) -> None:
        program.write_text(text)
        program.chmod(0o755)
