# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that hears which drums are struck in a recording, and when."""
