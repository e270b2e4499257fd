# SPDX-License-Identifier: GPL-3.0-or-later
"""How many live sessions one machine holds before the first miss, at each block size.

    python tests/benchmarks/bridge_sessions.py --model lars-live

The number is doubled until something is missed (or replaced by the engine), then bisected. A try
that failed while callbacks themselves came late is made again, up to three times: then it was the
machine. One process plays all the sound cards, on the same machine: it takes a share of what it
measures.
"""

from __future__ import annotations

from bridge_common import paced_options, parser, run_paced, start_engine, write

from lars_plugin.bridge.engine.realtime import run_in_real_time
from lars_plugin.bridge.local_engine import EngineProcess
from lars_plugin.bridge.protocol import limits

ATTEMPTS = 3


def holds(run_result: dict[str, object]) -> bool:
    """Whether nothing was missed."""
    return run_result["missing_samples"] == run_result["replaced_by_engine"] == 0


def search(
    engine: EngineProcess,
    model: str,
    block: int,
    callbacks: int,
    most: int,
    *,
    step: int | None,
    buffering: int | None,
) -> dict[str, object]:
    """The largest number that held, and every try."""
    tries: list[dict[str, object]] = []
    good, bad = 0, most + 1
    number = 1
    while good + 1 < bad:
        for _ in range(ATTEMPTS):
            tries.append(
                run_paced(engine, model, number, block, callbacks, step=step, buffering=buffering)
            )
            if holds(tries[-1]) or not tries[-1]["late_callbacks"]:
                break
        if holds(tries[-1]):
            good = number
        else:
            bad = number
        number = min(2 * good, most) if bad > most and good else (good + bad) // 2
    return {"block": block, "sessions": good, "limit": most, "tries": tries}


def main() -> None:
    arguments = parser(__doc__, "bridge_sessions")
    paced_options(arguments)
    arguments.add_argument("--most", type=int, default=limits.MAX_SESSIONS)
    args = arguments.parse_args()
    if args.quick:
        args.callbacks, args.most, args.blocks = 100, 2, args.blocks[-1:]
    if args.realtime:
        run_in_real_time()
    with start_engine(realtime=args.realtime) as engine:
        results = [
            search(
                engine, args.model, block, args.callbacks, args.most,
                step=args.step, buffering=args.buffering,
            )
            for block in args.blocks
        ]  # fmt: skip
    found = {"model": args.model, "realtime": args.realtime, "runs": results}
    write(args.out, "bridge_sessions", found)


if __name__ == "__main__":
    main()
