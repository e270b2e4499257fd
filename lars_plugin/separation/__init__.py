# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting audio into chunks, running a model on them, and putting stems together again."""
