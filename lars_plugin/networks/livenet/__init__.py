# SPDX-License-Identifier: GPL-3.0-or-later
"""LiveNet: the causal network of our live models."""
