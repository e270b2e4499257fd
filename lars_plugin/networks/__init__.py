# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as plain modules, each beside the frozen dataclass that configures it."""
