# SPDX-License-Identifier: GPL-3.0-or-later
"""Excerpts rendered from sounds and notes."""
