# Sets $tools to where the programs of requirements/tools.lock are.
# They live in .venv.tools, apart: what they depend on must not decide about the service's versions.
source scripts/find_python.sh
tools=.venv.tools/bin
if ! cmp -s requirements/tools.lock .venv.tools/installed.lock; then
  python=$(PYTHONPATH=scripts "$python" -c "import interpreters; print(next(interpreters.find()).program)")
  "$python" -m venv --clear .venv.tools
  "$tools/python" -m pip install --quiet --require-hashes --only-binary :all: --no-deps -r requirements/tools.lock
  cp requirements/tools.lock .venv.tools/installed.lock
fi
