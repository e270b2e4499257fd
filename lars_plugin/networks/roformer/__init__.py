# SPDX-License-Identifier: GPL-3.0-or-later
"""BS-RoFormer and Mel-Band RoFormer: transformers over time and bands, with rotary positions."""
