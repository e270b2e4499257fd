# SPDX-License-Identifier: GPL-3.0-or-later
"""How the transcriber is trained: on levels of stems, rendered once and mixed anew each time."""
