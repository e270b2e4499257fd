# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic without models: Fourier transforms, threads, small matrices, a FIFO."""
