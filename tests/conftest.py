# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests rely on."""

from __future__ import annotations

import signal

# A job in the background of a script, as a CI runner may start us, ignores Ctrl-C and hands that
# down to its children; the tests that send it to a child need it to arrive.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
