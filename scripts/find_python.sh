# Sets $python to any Python that runs; scripts/bootstrap.py then looks for one that is new enough.
# Being on the PATH is not enough: a shim of pyenv's may be there and fail.
for python in python3 python3.{14..11} python "$(uv python find 2>/dev/null || true)"; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then return 0; fi
done
echo "avatar-warmer: needs Python 3.11 or newer (Debian, Ubuntu: apt install python3-venv; macOS: brew install python)" >&2
exit 1
