#!/bin/bash
# A container engine for the tests: says nothing when one answers, installs Debian's docker and starts it otherwise.
# Its process is written to $HWB_ENGINE_PID. Exit code 1 where that cannot be done (not root, no apt, a kernel that allows no containers).
set -uo pipefail
docker info >/dev/null 2>&1 && exit 0
[ "$(id -u)" = 0 ] || { echo "$0: only root can start an engine" >&2; exit 1; }
if ! command -v dockerd >/dev/null; then
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends docker.io; } >/dev/null 2>&1 \
    || { echo "$0: docker.io cannot be installed" >&2; exit 1; }
fi
log=${TMPDIR:-/tmp}/hwb-dockerd.log
# containers get limits that are allowed here: without CAP_SYS_RESOURCE nobody can raise the number of open files
most=$(ulimit -Hn); [ "$most" = unlimited ] && most=1048576
attempt() {
  setsid dockerd --default-ulimit "nofile=1024:$most" "$@" >>"$log" 2>&1 </dev/null &
  local pid=$!
  for _ in $(seq 200); do
    if docker info >/dev/null 2>&1; then
      [ -z "${HWB_ENGINE_PID:-}" ] || echo "$pid" >"$HWB_ENGINE_PID"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  kill "$pid"; return 1
}
attempt || attempt --iptables=false --bridge=none || attempt --iptables=false --bridge=none --storage-driver=vfs && exit 0
tail -5 "$log" >&2
exit 1
