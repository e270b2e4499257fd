# SPDX-License-Identifier: GPL-3.0-or-later
"""Paced callbacks, as a sound card would call: how many miss, and how late the callbacks were.

    python tests/benchmarks/bridge_live.py --model lars-live --blocks 128 512

``identity`` stands for a model that costs nothing and goes by hops of the block.
"""

from __future__ import annotations

from bridge_common import paced_options, parser, run_paced, start_engine, write

from lars_plugin.bridge.engine.realtime import run_in_real_time


def main() -> None:
    arguments = parser(__doc__, "bridge_live")
    paced_options(arguments)
    arguments.add_argument("--sessions", type=int, default=1)
    args = arguments.parse_args()
    if args.quick:
        args.callbacks = 200
    if args.realtime:
        run_in_real_time()
    with start_engine(realtime=args.realtime) as engine:
        results = [
            run_paced(
                engine, args.model, args.sessions, block, args.callbacks,
                step=args.step, buffering=args.buffering,
            )
            for block in args.blocks
        ]  # fmt: skip
    found = {"model": args.model, "realtime": args.realtime, "runs": results}
    write(args.out, "bridge_live", found)


if __name__ == "__main__":
    main()
