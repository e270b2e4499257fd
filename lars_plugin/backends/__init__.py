# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtimes: a network runs on chunks here, and nothing more happens."""
