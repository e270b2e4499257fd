# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch``: a library of recordings, many workers, and a ledger of what is done.

From the command line to the outputs::

    command ─▶ inputs, manifest ─▶ ledger ─▶ driver ─▶ engine (local or ray) ─▶ worker
                                     ▲          │                                 │
                                     └──────────┴──── results ────────────────────┘

The driver alone writes the ledger. A worker holds loaded models and calls the functions that
``lars separate`` calls, so outputs are the same to the bit.
"""
