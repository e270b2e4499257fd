# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data: recordings, notes, and the pool of rendered excerpts."""
