# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and tuning of the transcription."""
