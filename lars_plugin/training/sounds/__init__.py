# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds: timbres, cymbals, effects, instruments of our own."""
