# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe for our own models: kits, grooves, rendering, losses, fitting."""
