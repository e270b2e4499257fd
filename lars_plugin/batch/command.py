# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars batch``: the command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.batch.settings import add_recording_options
from lars_plugin.errors import InputError
from lars_plugin.options import add_cluster_options, amount, count

if TYPE_CHECKING:
    from lars_plugin.batch.driver import Told
    from lars_plugin.batch.engine import Engine
    from lars_plugin.batch.ledger import Item, Ledger

log = logging.getLogger(__name__)

__all__ = ["LEDGER", "add_batch_parser", "run_batch"]

# The ledger's name in the output folder.
LEDGER = "lars-batch.sqlite"

_EPILOG = """\
Inputs are files, folders, patterns, URLs (s3://, gs://, https://: whatever fsspec knows) and
manifests: CSV, JSONL or Parquet with a column `path`; its other columns are options of this
command for single files (model, stems, preset, channels ...).
  lars batch library/ -o stems
  lars batch tracks.csv -o stems -j 4 --midi
  lars batch s3://bucket/drums -o s3://bucket/stems --engine ray --address auto
  lars batch --status stems

A ledger beside the outputs says what is done. The same command again does what is missing, what
has changed since and what failed for an outer reason (a full disk, a store), and nothing else. A
file whose worker died --attempts times, or that cannot be read, is set aside until it changes or
--retry-failed is given. Outputs are those of `lars separate`, to the bit.

exit codes: 0 all done, 1 a file failed (the others are done), 2 wrong usage (nothing was begun),
130 interrupted, 143 terminated
"""


def add_batch_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "batch",
        help="separate a library, on one machine or on a cluster",
        description="Separate a library of recordings: on the cores of this machine, or on Ray.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="file, folder, pattern, URL or manifest")
    add("-o", "--out", "--output-dir", dest="out", default="separated", metavar="DIR",
        help="folder or URL of the outputs (default: %(default)s)")  # fmt: skip
    files = add_recording_options(parser).add_argument
    files("--overwrite", action="store_true",
        help="replace files that are there already and do not come from this batch")  # fmt: skip
    where = parser.add_argument_group("where")
    add = where.add_argument
    add("--engine", choices=("local", "ray"), default="local",
        help="processes here, or workers of a Ray cluster (default: %(default)s)")  # fmt: skip
    add("-j", "--jobs", type=count, metavar="N",
        help="workers (default: one for each core as far as half of the memory goes; with ray, as"
        " many as the cluster has room for)")  # fmt: skip
    add_cluster_options(where)
    add("--memory-per-worker", type=amount, metavar="GB",
        help="with ray: what a worker is given of a node's memory")  # fmt: skip
    add("--piece-minutes", type=amount, default=10.0, metavar="M",
        help="separate recordings of twice this length or more in pieces, where that changes no"
        " sample; 0: never (default: %(default)s)")  # fmt: skip
    add = parser.add_argument_group("ledger").add_argument
    add("--ledger", type=Path, metavar="FILE",
        help=f"default: {LEDGER} in DIR; where DIR is a URL, NAME.{LEDGER} in this folder",
    )  # fmt: skip
    add("--resume", action="store_true",
        help="go on with a ledger: the default; with this option it is an error if there is none",
    )  # fmt: skip
    add("--attempts", type=count, default=3, metavar="N",
        help="per file, when its worker dies, or a store, a disk or memory fails"
        " (default: %(default)s)")  # fmt: skip
    add("--retry-failed", action="store_true", help="also those that were set aside")
    add("--status", metavar="DIR", help="say how a batch is doing, and do nothing else")
    add("--json", action="store_true", help="print the status at the end as JSON")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add("-v", "--verbose", action="store_true", help="print more")


def run_batch(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.status is not None:
        return _print_status(ledger_path(args.status, args.ledger), as_json=args.json)
    if not args.inputs:
        raise InputError("nothing to do: give files, folders, patterns, URLs or a manifest")
    from lars_plugin.batch.inputs import check_apart
    from lars_plugin.batch.ledger import Ledger
    from lars_plugin.batch.lock import only_run

    path = ledger_path(args.out, args.ledger)
    if args.resume and not path.exists():
        raise InputError(f"there is no ledger {path}; leave out --resume, or give --ledger")
    _complete(args)
    check_apart(args.inputs, args.out)
    with only_run(path), Ledger(path) as ledger:
        return _run(args, ledger, path)


def ledger_path(out: str, given: Path | None) -> Path:
    """Where the ledger of an output folder lies."""
    from lars_plugin.batch.locations import is_remote, local_form

    if given is not None:
        return given
    if is_remote(out):
        name = out.rstrip("/").rsplit("/", 1)[-1] or "batch"
        return Path(f"{name}.{LEDGER}")
    return Path(local_form(out), LEDGER)


def _complete(args: argparse.Namespace) -> None:
    """What the functions behind ``lars separate`` want to find among the options."""
    from lars_plugin.batch.locations import check_protocol, is_remote, local_form

    remote = is_remote(args.out)
    if remote:
        check_protocol(args.out)
    args.out = args.out if remote else os.path.abspath(local_form(args.out))
    args.work = Path(tempfile.gettempdir(), "lars-batch") if remote else Path(args.out)
    args.piece_seconds = 60 * args.piece_minutes
    # Workers on other machines do not have this environment.
    args.backend = args.backend or os.environ.get("LARS_BACKEND") or None


def _run(args: argparse.Namespace, ledger: Ledger, path: Path) -> int:
    from lars_plugin.batch.driver import run
    from lars_plugin.batch.locations import is_remote

    ledger.check_place(args.out if is_remote(args.out) else "")
    ledger.begin_run(args.engine)
    note = "it was interrupted"
    printer = _Printer(args)
    try:
        missing = _register(args, ledger)
        waiting = ledger.waiting()[0]
        if not args.quiet:
            done = ledger.counts().get("done", 0)
            print(f"lars: {waiting} to do, {done} done already; ledger: {path}", file=sys.stderr)
        if waiting:
            run(ledger, _engine(args, waiting), attempts=args.attempts, tell=printer)
        note = ""
    except Exception as error:
        note = str(error)
        raise
    finally:
        ledger.end_run(note)
    _after(args, ledger)
    printer.tell_others(ledger)
    if args.json:
        _print_status(path, as_json=True)
    elif not args.quiet:
        counts = ledger.counts()
        print(f"lars: {counts.get('done', 0)} done, {counts.get('failed', 0)} failed")
    return 1 if missing or ledger.counts().get("failed", 0) else 0


def _register(args: argparse.Namespace, ledger: Ledger) -> int:
    """Take up all inputs; how many names gave none."""
    from lars_plugin.batch.inputs import Missing, find_items
    from lars_plugin.batch.places import check_outputs, settle_places
    from lars_plugin.batch.settings import Settings
    from lars_plugin.files import printable

    settings = Settings(args)
    missing: list[Missing] = []

    def items() -> Iterator[Item]:
        for item in find_items(args.inputs, args.out, settings):
            if not isinstance(item, Missing) and not _is_text(item.location):
                item = Missing(item.location, f"the name of {printable(item.location)} is not in"
                               " UTF-8; rename the file or its folder")  # fmt: skip
            if isinstance(item, Missing):
                missing.append(item)
                print(f"lars: error: {item.error}", file=sys.stderr)
            else:
                yield item

    ledger.register(items())
    check_outputs(ledger, args.out)
    ledger.again(everything=args.retry_failed)
    settle_places(ledger, settings)
    return len(missing)


def _is_text(name: str) -> bool:
    """Whether a name can be written into the ledger and into records."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _engine(args: argparse.Namespace, waiting: int) -> Engine:
    if args.engine == "ray":
        from lars_plugin.batch.ray_engine import RayEngine

        return RayEngine(args)
    from lars_plugin.batch.engine import LocalEngine, default_jobs

    return LocalEngine(args, min(args.jobs or default_jobs(), waiting))


def _after(args: argparse.Namespace, ledger: Ledger) -> None:
    """What a run leaves beside the outputs, and what it does not."""
    from lars_plugin.batch import pieces

    for key in ledger.without_pieces():
        pieces.clear(args.out, key)
    if args.evaluate:
        from lars_plugin.batch.scores import write_scores

        write_scores(ledger, args.out)


def _print_status(path: Path, *, as_json: bool) -> int:
    from lars_plugin.batch.status import lines, status

    found = status(path)
    text: Iterable[str] = [json.dumps(found, indent=2)] if as_json else lines(found)
    for line in text:
        print(line, flush=True)
    return 0


class _Printer:
    """A line for each file, on stderr what is wrong."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._quiet, self._json = args.quiet, args.json
        self._failed: set[str] = set()

    def __call__(self, news: Told) -> None:
        from lars_plugin.files import printable

        name = printable(news.location)
        if news.what == "failed":
            self._failed.add(news.location)
            self._tell_failed(name, news.detail)
        elif news.what == "again":
            log.warning("%s: %s; it is tried again", name, news.detail)
        elif news.result is not None:
            for warning in news.result.warnings:
                log.warning("%s", warning)
            if not (self._quiet or self._json):
                rest = f" ({news.detail})" if news.detail else ""
                if news.what == "done":
                    rest = (f" ({news.result.elapsed:.1f} s for {news.result.seconds:.1f} s of"
                            " audio)")  # fmt: skip
                print(f"{name}: {news.what}{rest}", flush=True)

    def tell_others(self, ledger: Ledger) -> None:
        """The files that failed and were not news of yet: in earlier runs, or before any work."""
        from lars_plugin.files import printable

        for location, _kind, error in ledger.failures():
            if location not in self._failed:
                self._tell_failed(printable(location), error)

    @staticmethod
    def _tell_failed(name: str, error: str) -> None:
        prefix = "" if name in error else f"{name}: "
        print(f"lars: error: {prefix}{error}", file=sys.stderr)
