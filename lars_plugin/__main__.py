# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lars_plugin``: the command line without its script."""

from __future__ import annotations

import sys

from lars_plugin.cli import main

if __name__ == "__main__":
    sys.exit(main())
