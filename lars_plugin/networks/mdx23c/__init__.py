# SPDX-License-Identifier: GPL-3.0-or-later
"""MDX23C: the network of the published drum separation models."""
