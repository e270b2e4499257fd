# SPDX-License-Identifier: GPL-3.0-or-later
"""All benchmarks of the bridge in about six minutes: one JSON, and a table for the README.

    python tests/benchmarks/bridge_all.py --out bench/bridge.json

The table lies beside the JSON, with the ending ``.md``. The machine should have nothing else to do.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge_common import machine, parser

# Name, script and its arguments. Each is also a command of its own.
RUNS: list[tuple[str, str, list[str]]] = [
    ("overhead", "bridge_overhead", ["--model", "identity"]),
    ("live", "bridge_live", ["--model", "lars-live", "--blocks", "128", "512"]),
    (
        "sessions",
        "bridge_sessions",
        ["--model", "lars-live", "--blocks", "512", "--callbacks", "430"],
    ),
    ("offline", "bridge_offline", ["--model", "lars-mini", "--seconds", "12"]),
    ("soak", "bridge_soak", []),
]
_WITH_REALTIME = ("bridge_live", "bridge_sessions")


def table(found: dict[str, Any]) -> str:
    """The figures as the README shows them."""
    rows = ["| what | figure | aim |", "|---|---|---|"]
    if "overhead" in found:
        summary = found["overhead"]["summary"]
        ratios = ", ".join(f"{r['median_ratio_p50']:.1f}" for r in summary)
        blocks = ", ".join(str(r["block"]) for r in summary)
        least = ", ".join(f"{r['median_messages_only_ratio_p50']:.1f}" for r in summary)
        rows.append(f"| round trip p50 over a bare socket's, blocks of {blocks} | {ratios} | 2 |")
        rows.append(
            f"| the same with nothing but encoding and decoding messages at both ends | {least} | |"
        )
    for run in found.get("live", {}).get("runs", []):
        aim = "≤ 1" if run["block"] == 128 else "0"
        rows.append(
            f"| `lars-live`, {run['callbacks']:,} callbacks of {run['block']}: missed |"
            f" {run['misses']}, of which {run['misses_right_after_late_callbacks']} right after a"
            f" callback that was late itself; a hop takes {run['real_time_ratio']:.2f} of real"
            f" time | {aim} |"
        )
    for run in found.get("sessions", {}).get("runs", []):
        rows.append(
            f"| live sessions of `lars-live` at blocks of {run['block']} before a miss |"
            f" {run['sessions']} | |"
        )
    if "offline" in found:
        offline = found["offline"]
        same = "bit-identical" if offline["bit_identical"] else "NOT identical"
        rows.append(
            f"| offline over the bridge against in process, `{offline['model']}` |"
            f" {offline['ratio']:.2f} of the time, {same} | 1.1 |"
        )
    if "soak" in found:
        seen = found["soak"]["after_sessions"]
        first, last = min(seen, key=int), max(seen, key=int)
        grown = (seen[last]["resident_kib"] - seen[first]["resident_kib"]) / 1024
        rows.append(
            f"| memory, threads, descriptors after {last} sessions against after {first} |"
            f" {grown:+.1f} MB, {seen[last]['threads'] - seen[first]['threads']:+d},"
            f" {seen[last]['descriptors'] - seen[first]['descriptors']:+d} | 0 |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    arguments = parser(__doc__, "bridge")
    arguments.add_argument("--only", nargs="+", choices=[name for name, _, _ in RUNS])
    arguments.add_argument(
        "--realtime",
        action="store_true",
        help="engine and callbacks before ordinary programs, as sound cards' callbacks are",
    )
    args = arguments.parse_args()
    here, found = Path(__file__).parent, {}
    report: dict[str, Any] = {"benchmark": "bridge", "machine": machine()}
    report |= {"realtime": args.realtime, "seconds": {}, "failed": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, script, options in RUNS:
            if args.only and name not in args.only:
                continue
            out = Path(folder) / f"{name}.json"
            command = [sys.executable, str(here / f"{script}.py"), *options, "--out", str(out)]
            command += ["--quick"] if args.quick else []
            command += ["--realtime"] if args.realtime and script in _WITH_REALTIME else []
            print(name, "…", file=sys.stderr, flush=True)
            start = time.perf_counter()
            done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
            report["seconds"][name] = round(time.perf_counter() - start, 1)
            if done.returncode:
                # What else was measured in these minutes is not to be lost.
                report["failed"].append(name)
                continue
            found[name] = json.loads(out.read_text("utf-8"))["results"]
    report["results"] = found
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    args.out.with_suffix(".md").write_text(table(found), "utf-8")
    print(table(found))
    if report["failed"]:
        sys.exit(f"failed: {', '.join(report['failed'])}")


if __name__ == "__main__":
    main()
