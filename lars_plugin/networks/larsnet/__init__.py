# SPDX-License-Identifier: GPL-3.0-or-later
"""LarsNet: a U-Net for each stem."""
