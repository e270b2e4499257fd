# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocator setting is a program's choice, and says whether it was made."""

from __future__ import annotations

import platform
import subprocess
import sys


def test_the_setting_tells_whether_the_c_library_took_it() -> None:
    # In a process of its own: it cannot be undone.
    code = "from lars_plugin.allocator import keep_freed_memory; print(keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    assert done.stdout.strip() == str(expected)
