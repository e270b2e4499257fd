# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams: the only place where audio is cut and put together again."""
