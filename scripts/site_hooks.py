# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of the documentation site: pages that lie outside ``docs/``, and links between them.

README, the models' cards and the documents of the bridge are also read in a checkout, so their
links are those of the checkout. These pages get the same paths in the site, with README as its
first page, and their links are rewritten.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

# Pages outside docs/ that keep their paths in the site.
_SAME = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "THIRD_PARTY.md",
    "bridge/README.md",
    "bridge/PROTOCOL.md",
    "models/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("models/*/README.md"))),
)
# Path in the checkout, and path in the site.
_OUTSIDE = {
    "README.md": "index.md",
    **{name: name for name in _SAME},
}
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside."""
    for source, place in _OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    # In a process of its own: this one may have imported another checkout's package.
    command = [sys.executable, str(ROOT / "scripts" / "reference_pages.py")]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    files.append(File.generated(config, "reference/cli.md", content=done.stdout))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings have Sphinx' roles before names in code; here the code is enough."""
    return re.sub(r":(?:class|func|meth|mod|data|attr):<code>~?", "<code>", html)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links of the checkout into links of the site; other links become plain text."""
    place = page.file.src_uri
    source = next((s for s, p in _OUTSIDE.items() if p == place), f"docs/{place}")

    def rewrite(found: re.Match[str]) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        if ":" in target:
            return found[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if wanted in _OUTSIDE:
            there = _OUTSIDE[wanted]
        elif wanted.startswith("docs/"):
            there = wanted[len("docs/") :]
        elif (ROOT / wanted).exists():
            return label[1:-1] if not label.startswith("!") else ""
        else:
            return found[0]  # a dead link, which the strict build reports
        return f"{label}({posixpath.relpath(there, posixpath.dirname(place) or '.')}{anchor})"

    return _LINK.sub(rewrite, markdown)
