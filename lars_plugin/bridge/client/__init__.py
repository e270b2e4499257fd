# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference client."""
