# SPDX-License-Identifier: GPL-3.0-or-later
"""What several networks have in common."""
