# SPDX-License-Identifier: GPL-3.0-or-later
"""BandUNet: the network of our own offline models."""
