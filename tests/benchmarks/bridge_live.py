# SPDX-License-Identifier: GPL-3.0-or-later
"""Paced callbacks, as a sound card would call: misses, and how many sessions one machine holds."""

from __future__ import annotations

import time

import numpy as np
from bridge_common import parser, percentiles, start_engine, write

from lars_plugin.bridge.client import Client


def paced(clients: list[Client], block: int, callbacks: int) -> dict[str, object]:
    """Each client gets a block per period; what is not there at once is missed."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2, block)).astype(np.float32)
    period, late = block / 44100, []
    start = time.perf_counter() + 0.05
    for turn in range(callbacks):
        due = start + turn * period
        time.sleep(max(0.0, due - time.perf_counter()))
        late.append(max(0.0, time.perf_counter() - due))
        for client in clients:
            # No patience: what has not come since the last callback is a miss.
            client.process(wave, patience=0.0)
    stats = [client.stats() for client in clients]
    return {
        "sessions": len(clients),
        "block": block,
        "callbacks": callbacks,
        "latency_samples": clients[0].latency_samples,
        "misses": sum(-(-one.missing // block) for one in stats),
        "real_time_ratio": round(max(one.real_time_ratio for one in stats), 5),
        "callback_lateness": percentiles(late),
    }


def run(engine: object, model: str, sessions: int, block: int, args: object) -> dict[str, object]:
    clients = [engine.client() for _ in range(sessions)]  # type: ignore[attr-defined]
    try:
        for client in clients:
            client.open(
                model, max_block=block, step=args.step, buffering=args.buffering,  # type: ignore[attr-defined]
            )  # fmt: skip
        return paced(clients, block, args.callbacks)  # type: ignore[attr-defined]
    finally:
        for client in clients:
            client.close()


def main() -> None:
    arguments = parser(__doc__, "bridge_live")
    arguments.add_argument("--model", default="identity-128")
    arguments.add_argument("--blocks", type=int, nargs="+", default=[128, 512])
    arguments.add_argument("--sessions", type=int, nargs="+", default=[1])
    arguments.add_argument("--callbacks", type=int, default=10000)
    arguments.add_argument("--step", type=int)
    arguments.add_argument("--buffering", type=int)
    args = arguments.parse_args()
    results = []
    with start_engine() as engine:
        for block in args.blocks:
            for sessions in args.sessions:
                results.append(run(engine, args.model, sessions, block, args))
                if results[-1]["misses"]:
                    break
    write(args.out, "bridge_live", {"model": args.model, "runs": results})


if __name__ == "__main__":
    main()
