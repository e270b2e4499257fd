# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's umask decides who can read written weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from lars_plugin.zoo.checkpoints import save_state


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_weights_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_state({"x": torch.zeros(2)}, tmp_path / "w.safetensors", torch.float16)
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644
