# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: it runs models for other programs."""
