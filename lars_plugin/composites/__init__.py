# SPDX-License-Identifier: GPL-3.0-or-later
"""Models made of models: cascades, ensembles, other chunks."""
