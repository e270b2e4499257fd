# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the networks: losses, the trainer, publishing."""
