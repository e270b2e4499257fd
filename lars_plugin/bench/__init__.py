# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring what speed there is, and what it costs in quality."""
