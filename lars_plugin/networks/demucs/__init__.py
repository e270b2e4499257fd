# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid Demucs and HT-Demucs: a U-Net of the spectrum and one of the wave, side by side."""
