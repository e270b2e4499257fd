# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings and notes to learn from, and the pool that excerpts are drawn from."""
