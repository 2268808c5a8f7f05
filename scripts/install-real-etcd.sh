#!/usr/bin/env bash
# Installs the real programs that tests compare with, on Debian and its derivatives.
#
#   scripts/install-real-etcd.sh
#
# From the machine's own release: etcd-server, etcd-client (3.4 on bookworm), nghttp2-client, and what
# completion scripts and man pages are tried with (zsh, fish, mandoc),
# through apt-get (needs root; what is there already is left alone). From the release called trixie:
# etcd 3.5, downloaded through the machine's own package sources and unpacked without installing it.
# Where Go is installed: etcd 3.6 and 3.7.1, and the load generator of 3.7.1, built from their Go modules.
#
# They are put where the tests look: $TETCD_ETCD_35_DIR, $TETCD_ETCD_36_DIR and $TETCD_ETCD_37_DIR, else
# `etcd-3.5`, `etcd-3.6` and `etcd-3.7` in ${XDG_CACHE_HOME:-~/.cache}/tetcd.
set -euo pipefail

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tetcd
directory=${TETCD_ETCD_35_DIR:-$cache/etcd-3.5}
newer=trixie
retry=(-o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
export DEBIAN_FRONTEND=noninteractive

# The first line of what a program says of itself. (Its output is taken whole: a pipe that its reader
# closes early would end the program, and with it this script.)
version_of() {
  local text
  text=$("$@" 2>/dev/null) || return
  echo "${text%%$'\n'*}"
}

command -v apt-get >/dev/null || { echo "apt-get is missing: not a Debian machine" >&2; exit 1; }

install_packages() {
  local packages=(etcd-server etcd-client nghttp2-client zsh fish mandoc) missing=() name
  for name in "${packages[@]}"; do
    dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo "installed already: ${packages[*]}"
    return
  fi
  echo "installing: ${missing[*]}"
  apt-get "${retry[@]}" update -qq
  # The package starts a service on port 2379 where nothing forbids it; tests start their own.
  local policy=/usr/sbin/policy-rc.d policy_is_ours=false
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    policy_is_ours=true
  fi
  local status=0
  apt-get "${retry[@]}" install -y -qq --no-install-recommends "${missing[@]}" || status=$?
  [ "$policy_is_ours" = false ] || rm -f "$policy"
  return "$status"
}

# The machine's own sources with the release's name replaced; security and update suites, which
# a release may lack, are left out.
write_newer_sources() {
  local target=$1 codename source found=false
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  for source in /etc/apt/sources.list.d/*.sources; do
    [ -e "$source" ] || continue
    sed "/^#/d; s/$codename-updates//; s/$codename/$newer/g" "$source" |
      awk 'BEGIN { RS = ""; ORS = "\n\n" } /Suites:[^\n]*'"$newer"'/ && !/security|backports/' \
        >"$target/$(basename "$source")"
    [ ! -s "$target/$(basename "$source")" ] || found=true
  done
  for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$source" ] || continue
    { grep -E "^deb .*[[:space:]]$codename[[:space:]]" "$source" || true; } |
      sed "s/$codename/$newer/g" >"$target/$(basename "$source")"
    [ ! -s "$target/$(basename "$source")" ] || found=true
  done
  [ "$found" = true ] || { echo "no package source of $codename to derive $newer from" >&2; exit 1; }
}

unpack_newer() {
  if [[ $(version_of "$directory/usr/bin/etcd" --version) == 'etcd Version: 3.5.'* ]] &&
    [ -x "$directory/usr/bin/etcdctl" ]; then
    echo "unpacked already: $directory"
    return
  fi
  local temporary
  temporary=$(mktemp -d)
  # shellcheck disable=SC2064 # the path is wanted as it is now
  trap "rm -rf '$temporary'" EXIT
  chmod 755 "$temporary"
  mkdir -p "$temporary"/{state/lists/partial,cache/archives/partial,sources,packages,root}
  write_newer_sources "$temporary/sources"
  local apt=(
    apt-get "${retry[@]}"
    -o "Dir::State=$temporary/state" -o "Dir::Cache=$temporary/cache"
    -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$temporary/sources"
    -o "APT::Architecture=$(dpkg --print-architecture)" -o APT::Sandbox::User=root
  )
  "${apt[@]}" update -qq
  (cd "$temporary/packages" && "${apt[@]}" download -qq etcd-server etcd-client)
  local package
  for package in "$temporary"/packages/*.deb; do dpkg-deb -x "$package" "$temporary/root"; done
  rm -rf "$directory"
  mkdir -p "$(dirname "$directory")"
  mv "$temporary/root" "$directory"
  chmod 755 "$directory"
}

# build_release VERSION DIRECTORY
build_release() {
  local release=$1 built=$2
  if ! command -v go >/dev/null; then
    echo "no Go: etcd $release is left out"
    return
  fi
  if [[ $(version_of "$built/etcd" --version) == "etcd Version: $release" ]] &&
    [ -x "$built/etcdctl" ] && [ -x "$built/etcdutl" ]; then
    echo "built already: $built"
    return
  fi
  (
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    go mod init real-etcd 2>/dev/null
    for module in server etcdctl etcdutl; do
      go mod edit -require "go.etcd.io/etcd/$module/v3@v$release"
    done
    GOFLAGS=-mod=mod go build -o "$work/bin/" go.etcd.io/etcd/{server,etcdctl,etcdutl}/v3 2>"$work/log" ||
      { tail -n 20 "$work/log" >&2; exit 1; }
    mkdir -p "$built"
    mv "$work/bin/server" "$built/etcd"
    mv "$work/bin/etcdctl" "$work/bin/etcdutl" "$built"
  )
}

# build_loader VERSION DIRECTORY: etcd's own load generator, of the module above all others
build_loader() {
  local release=$1 built=$2
  if ! command -v go >/dev/null; then
    echo "no Go: the load generator of etcd $release is left out"
    return
  fi
  local program=$built/benchmark
  if [[ $(go version -m "$program" 2>/dev/null) == *"go.etcd.io/etcd/v3"*"v$release"* ]]; then
    echo "built already: $program"
    return
  fi
  (
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    go mod init load-generator 2>/dev/null
    go mod edit -require "go.etcd.io/etcd/v3@v$release"
    GOFLAGS=-mod=mod go build -o "$work/benchmark" go.etcd.io/etcd/v3/tools/benchmark 2>"$work/log" ||
      { tail -n 20 "$work/log" >&2; exit 1; }
    mkdir -p "$built"
    mv "$work/benchmark" "$program"
  )
}

install_packages
unpack_newer
build_release 3.6.16 "${TETCD_ETCD_36_DIR:-$cache/etcd-3.6}"
build_release 3.7.1 "${TETCD_ETCD_37_DIR:-$cache/etcd-3.7}"
build_loader 3.7.1 "${TETCD_ETCD_37_DIR:-$cache/etcd-3.7}"
version_of "$directory/usr/bin/etcd" --version
version_of "$directory/usr/bin/etcdctl" version
