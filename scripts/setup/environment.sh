#!/usr/bin/env bash
# Installs requirements/NAME.lock for each NAME, and the project itself, into .venv, and puts .venv on the PATH.
#   source scripts/setup/environment.sh NAME…     in a script
#   ./scripts/setup/environment.sh NAME…          by itself, for an upgrade
# The tools have an environment of their own, .venv.tools: their dependencies must not decide the service's versions.
cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
# These variables send Python to the modules of another installation, and pip to another folder.
unset PYTHONHOME __PYVENV_LAUNCHER__ PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT

say() { echo "$*" >&2; }
fail() { say "avatar-warmer: $*"; exit 1; }

may_use() { [[ ! -e $1 || ( -r $1 && -w $1 && ( ! -d $1 || -x $1 ) ) ]]; }

check_access() {  # Neither the folder of another user nor every name can hold an environment.
  local place
  [[ $PWD != *[:\"\$\`\\$'\n']* ]] || fail "the path of this folder must hold none of : \" \$ \` \\ : $PWD"
  for place in "$PWD" "$PWD/$venv" "$PWD/$venv.log" "$PWD/$venv"/*; do
    may_use "$place" || fail "this user cannot read and write $place: remove it, or change its owner (chown -R)"
  done
}

find_python() {  # Sets $python. An activated environment names the Python that it was made from.
  local name old='' bare=''
  for name in python3 python3.{14,13,12,11}; do
    python=$("$name" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))' 2>/dev/null) || continue
    if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'; then
      old=${old:-", and $name is $("$python" -V 2>&1)"}
    elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then return
    else bare=${bare:-$name}; fi
  done
  [[ ! $bare ]] || fail "$bare has no venv module (Debian, Ubuntu: apt install $bare-venv)"
  fail "needs Python 3.11 to 3.14$old (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)"
}

is_whole() { [[ $(cat "$venv/whole" 2>/dev/null) == "$PWD" ]] && "$venv/bin/python" -Ic 'import pip' 2>/dev/null; }
is_ready() { cat setup.cfg "$lock" | cmp -s - "$venv/$name.installed" && is_whole; }

wait_for_turn() {  # The lock ends with the last process that has the folder open. macOS has no flock command.
  exec 9<.
  "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
  say "Waiting for another script, which is making $venv…"
  "$python" -c 'import fcntl, signal; signal.alarm(600); fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null ||
    fail "another script has been making $venv for ten minutes"
}

run_step() {  # What, command…: in a process group of its own, so that a signal ends all that it has started.
  local what=$1 started=$SECONDS said=$SECONDS
  say "$what…"
  set -m
  PYTHONPATH='' "${@:2}" </dev/null >>"$venv.log" 2>&1 & job=$!
  set +m
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    ((SECONDS < said + 10)) || { said=$SECONDS; say "$what… $((SECONDS - started)) s"; }
  done
  wait "$job" || stop 1 "$what failed; the last lines of $venv.log:"$'\n'"$(tail -n 15 "$venv.log")"
}

stop() {  # Status, why. A new environment is removed; one that may be in use stays whole if nothing has changed in it.
  trap '' INT TERM HUP
  kill -TERM "-$job" 2>/dev/null && wait "$job" 2>/dev/null || true
  if [[ $is_new ]]; then rm -rf "$venv"
  elif ! grep -q '^Installing collected packages' "$venv.log"; then echo "$PWD" >"$venv/whole"; fi
  say "avatar-warmer: $2"
  exit "$1"
}

install() {
  local is_new='' job='' pip=("$venv/bin/python" -I -m pip install --disable-pip-version-check --no-input)
  : >"$venv.log"
  trap 'stop 130 "interrupted"' INT TERM HUP
  if is_whole; then rm "$venv/whole"; else
    is_new=1
    rm -rf "$venv" 2>/dev/null || fail "cannot remove $PWD/$venv: remove it as its owner"  # of a link, the link alone
    run_step "Making $venv with $("$python" -V)" "$python" -I -m venv "$venv"
  fi
  # A build would download what no hash holds, so no source is built. The lock is complete, so nothing is resolved.
  run_step "Installing $lock" "${pip[@]}" --require-hashes --only-binary :all: --no-deps -r "$lock"
  # The project has no hash. The locked setuptools builds it.
  [[ $name == tools ]] || run_step "Installing the project" "${pip[@]}" --no-deps --no-build-isolation -e .
  cat setup.cfg "$lock" >"$venv/$name.installed"
  echo "$PWD" >"$venv/whole"  # an environment without it is made anew
  rm "$venv.log"
  trap - INT TERM HUP
}

for name in "$@"; do
  venv=.venv lock=requirements/$name.lock
  [[ $name != tools ]] || venv=.venv.tools
  if ! is_ready; then
    check_access
    find_python
    wait_for_turn
    is_ready || install
    exec 9<&-
  fi
  export VIRTUAL_ENV="$PWD/$venv" PATH="$PWD/$venv/bin:$PATH"
done
