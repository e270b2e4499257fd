# SPDX-License-Identifier: GPL-3.0-or-later
"""The studio: a local page that separates, plays, remixes and gives away stems and MIDI.

Needs the extra ``studio`` (Starlette and uvicorn). ``command`` starts it, ``app`` has the routes,
``security`` lets only the owner in, ``worker`` does the jobs by the functions of ``lars separate``
and ``lars midi``, ``ledger`` keeps them across restarts.
"""
