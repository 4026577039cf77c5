#!/bin/sh
# Install Etapa from the source tree that this file lies in, into a new virtual environment.
# Used by the Dockerfile and for servers without containers; scripts/check_deploy.py runs it too.
#
#   deploy/install.sh /opt/etapa
#
# PYTHON names the interpreter (3.11 or newer). Versions and hashes are those of requirements.lock.
set -eu
target=${1:?usage: deploy/install.sh FOLDER, as in deploy/install.sh /opt/etapa}
source=$(cd "$(dirname "$0")/.." && pwd)
uv_version=0.13.9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# uv lives beside the target, not in it: what runs in production needs no installer.
"${PYTHON:-python3}" -m venv "$work/uv"
"$work/uv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
uv=$work/uv/bin/uv

"$uv" venv --quiet --python "${PYTHON:-python3}" "$target"
# The lock serves as constraints, so that only what the services need is installed. The SDK is
# named by its folder: a package of its name from elsewhere is never asked for.
"$uv" pip install --quiet --python "$target/bin/python" --link-mode copy --compile-bytecode \
  --no-sources --constraint "$source/requirements.lock" "$source/sdk" "$source"
"$target/bin/python" -m services.cli --help >/dev/null
