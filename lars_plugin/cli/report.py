# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about each file: lines for people, or one JSON document for programs.

The document::

    {"lars": "0.1.0", "model": "lars-mini", "stems": ["kick", …], "error": null,
     "results": [{"input": "song.wav", "status": "done", "outputs": {"kick": "separated/…"},
                  "seconds": 12.0, "elapsed": 2.1, "rtr": 0.175, "gain_db": 0.0,
                  "clipping": {"snare": {"samples": 12, "peak_dbfs": 0.8}},
                  "warnings": [], "error": null}]}

``status`` is done, skipped, failed or cancelled; ``seconds`` is the length of the audio,
``elapsed`` the time taken, ``rtr`` their ratio (below 1 is faster than real time); what is not
known is null. ``error`` at the top says why the run as a whole ended. Bytes of a name that are
not UTF-8 are lone surrogates (``\\udce9``), as Python's ``os.fsdecode`` gives them.
"""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lars_plugin import __version__
from lars_plugin.audio import printable
from lars_plugin.separation.files import FileResult
from lars_plugin.separation.separator import Separator

__all__ = ["Outcome", "Report"]


@dataclass(frozen=True)
class Outcome:
    """What became of one input; ``cause`` is the exception behind ``error``, if there is one."""

    path: Path
    status: Literal["done", "skipped", "failed", "cancelled"]
    result: FileResult | None = None
    outputs: Mapping[str, Path] = field(default_factory=dict)  # of those that were skipped
    error: str = ""
    cause: BaseException | None = field(default=None, compare=False)


class Report:
    """Collects outcomes; tells them as they come, or all at the end as JSON."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self._json, self._quiet = json, quiet
        self._document: dict[str, Any] = {
            "lars": __version__,
            "model": None,
            "stems": [],
            "error": None,
            "results": [],
        }
        self._failed = False

    @property
    def exit_code(self) -> int:
        """0, or 1 if an input failed."""
        return int(self._failed)

    def about(self, separator: Separator) -> None:
        """Tell by what the files are separated."""
        self._document["model"] = separator.model.config.name
        self._document["stems"] = list(separator.stems)

    def add(self, outcome: Outcome) -> None:
        """Tell about one input."""
        self._document["results"].append(_as_json(outcome))
        self._failed = self._failed or outcome.status == "failed"
        name = printable(outcome.path)
        if outcome.status == "failed":
            prefix = "" if name in outcome.error else f"{name}: "
            print(f"lars: error: {prefix}{outcome.error}", file=sys.stderr)
        elif outcome.status == "skipped" and not self._quiet:
            print(f"lars: {name}: skipped, all outputs are there (--overwrite)", file=sys.stderr)
        elif outcome.result is not None and not self._quiet:
            self._tell(name, outcome.result)

    def _tell(self, name: str, result: FileResult) -> None:
        # The reader's warnings are in the log, which is on stderr too.
        for stem, clipping in result.clipping.items():
            print(
                f"lars: warning: {name}: {stem}: {clipping.samples} samples beyond full scale"
                f" (peak {clipping.peak_dbfs:+.1f} dBFS) were clipped; keep them with --bits 32f,"
                " or lower all stems alike with --rescale",
                file=sys.stderr,
            )
        if self._json:
            return
        if result.gain_db:
            print(f"{name}: all outputs lowered by {-result.gain_db:.2f} dB")
        folder = os.path.commonpath([path.parent for path in result.outputs.values()])
        print(
            f"{name}: {', '.join(result.outputs)} in {printable(folder)}"
            f" ({result.elapsed:.1f} s for {result.seconds:.1f} s of audio)",
            flush=True,
        )

    def stop(self, error: BaseException) -> None:
        """Tell why the run ends early; the message itself is printed by the caller."""
        self._document["error"] = str(error) or "interrupted"

    def close(self) -> None:
        """Print the document, if one is wanted."""
        if self._json:
            print(jsonlib.dumps(self._document, indent=2), flush=True)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    result = outcome.result
    outputs = outcome.outputs if result is None else result.outputs
    return {
        "input": str(outcome.path),
        "status": outcome.status,
        "outputs": {stem: str(path) for stem, path in outputs.items()},
        "seconds": None if result is None else round(result.seconds, 6),
        "elapsed": None if result is None else round(result.elapsed, 3),
        "rtr": None if result is None else round(result.rtr, 4),
        "gain_db": None if result is None else round(result.gain_db, 3),
        "clipping": {}
        if result is None
        else {
            stem: {"samples": clipping.samples, "peak_dbfs": round(clipping.peak_dbfs, 2)}
            for stem, clipping in result.clipping.items()
        },
        "warnings": [] if result is None else list(result.warnings),
        "error": outcome.error or None,
    }
