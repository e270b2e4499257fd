#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the container and tries it. Where no docker (or podman) runs, it says so and does nothing.
#   scripts/container.sh [TAG]
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-lars}
engine=
for name in docker podman; do
  if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
    engine=$name
    break
  fi
done
if [ -z "$engine" ]; then
  echo "no docker or podman runs here: the container is not built"
  exit 0
fi
"$engine" build --file container/Dockerfile --tag "$tag" .
"$engine" run --rm "$tag" --version
"$engine" run --rm "$tag" demo -o /tmp/demo
# The studio has its packages and its page: without them it would say so before it looks at ports.
"$engine" run --rm --entrypoint python "$tag" -c \
  'import starlette, uvicorn; from lars_plugin.studio.app import WEB; open(WEB / "index.html")'
# Not as root, and without a way to become it.
[ "$("$engine" run --rm --entrypoint id "$tag" -u)" = 1000 ]
