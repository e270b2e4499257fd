#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What JUCE is built with on Debian and Ubuntu, and a screen for pluginval. As root.
#   scripts/plugin_packages.sh          # install
#   scripts/plugin_packages.sh --list   # only say which
set -euo pipefail
PACKAGES=(
  cmake g++ pkg-config xvfb xauth
  libasound2-dev libfreetype-dev libx11-dev libxcomposite-dev libxcursor-dev libxext-dev
  libxinerama-dev libxrandr-dev libxrender-dev libgl1-mesa-dev libcurl4-openssl-dev
)
if [ "${1:-}" = --list ]; then
  printf '%s\n' "${PACKAGES[@]}"
  exit
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}"
