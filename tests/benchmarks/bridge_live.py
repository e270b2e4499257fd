# SPDX-License-Identifier: GPL-3.0-or-later
"""Paced callbacks, as a sound card would call: how many miss, and how late the callbacks were.

    python tests/benchmarks/bridge_live.py --model lars-live --blocks 128 512

``identity`` stands for a model that costs nothing and goes by hops of the block.
"""

from __future__ import annotations

from bridge_common import paced_options, parser, run_paced, start_engine, write


def main() -> None:
    arguments = parser(__doc__, "bridge_live")
    paced_options(arguments)
    arguments.add_argument("--sessions", type=int, default=1)
    args = arguments.parse_args()
    if args.quick:
        args.callbacks = 200
    with start_engine() as engine:
        results = [
            run_paced(
                engine, args.model, args.sessions, block, args.callbacks,
                step=args.step, buffering=args.buffering,
            )
            for block in args.blocks
        ]  # fmt: skip
    write(args.out, "bridge_live", {"model": args.model, "runs": results})


if __name__ == "__main__":
    main()
