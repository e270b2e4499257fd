# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes and messages, without any I/O."""
