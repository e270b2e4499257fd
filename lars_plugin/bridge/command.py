# SPDX-License-Identifier: GPL-3.0-or-later
"""`lars serve`: an engine for DAWs and other programs. `lars stream`: a file through it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lars_plugin.errors import InputError
from lars_plugin.options import add_backend_options, add_device_option

__all__ = ["add_serve_parser", "add_stream_parser", "run_serve", "run_stream"]

_SWITCH_SECONDS = 0.0005
_LIVE_MODELS = ("lars-mini", "lars-live", "lars-live-low")  # what people go live with


def add_serve_parser(subparsers: Any) -> None:
    """Add the `serve` command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="run the engine that DAWs and other programs connect to",
        description="Run the engine until SIGTERM or Ctrl-C. Clients find it by its runtime file.",
    )
    parser.add_argument("--status", action="store_true", help="show the running engine and exit")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write down where this installation is, so that the plugin finds it, and exit"
        " (every lars serve does that, too)",
    )
    parser.add_argument(
        "--latency-table",
        nargs="*",
        metavar="MODEL",
        help="show what live streams of these models would be late by, term by term, and exit"
        " (default: lars-mini and the live models); needs no weights",
    )
    parser.add_argument("--socket", type=Path, help="Unix socket (default: in the runtime folder)")
    parser.add_argument(
        "--tcp",
        metavar="[HOST:]PORT",
        help="also listen on TCP, on this machine's own address unless told otherwise; port 0 is"
        " any free one. Clients need the token in the runtime folder",
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="let --tcp name an address others can reach"
    )
    parser.add_argument(
        "--files",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="jobs and boards may touch only this folder (repeat for more; default: any on this"
        " machine that you may, none for clients elsewhere)",
    )
    add_device_option(parser)
    add_backend_options(parser)
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="ask the system to run the engine before ordinary programs, as audio programs are"
        " (Linux, with an rtprio limit of 10 or more)",
    )
    parser.add_argument("--preload", action="append", default=[], metavar="MODEL", help="load now")
    parser.add_argument(
        "--idle", type=float, default=600.0, help="seconds until an unused model is let go (600)"
    )
    parser.add_argument(
        "--models-from",
        metavar="MODULE",
        help="a Python module with MODELS, a dictionary of names to functions that return a Model,"
        " instead of the installed models",
    )
    parser.add_argument("--log", choices=["text", "json"], default="text", help="form of the log")


def add_stream_parser(subparsers: Any) -> None:
    """Add the `stream` command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "stream",
        help="play a file through the running engine, as a DAW would",
        description="Send a file block by block through the running engine and write its stems.",
    )
    parser.add_argument("input", type=Path, help="audio file, mono or stereo")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the stems")
    parser.add_argument("--model", help="of the engine's (default: its first)")
    parser.add_argument("--mode", choices=["live", "offline"], default="offline")
    parser.add_argument(
        "--paced", action="store_true", help="at real speed, not as fast as it goes"
    )
    parser.add_argument("--block", type=int, default=512, help="samples per block (default 512)")
    parser.add_argument("--step", type=int, help="live: samples between runs of the network")
    parser.add_argument("--lookahead", type=int, help="live: samples of future each sample sees")
    parser.add_argument("--fallback", choices=["dry", "silence"], default="dry")
    parser.add_argument("--board", type=Path, help="board file (TOML or JSON), run in the engine")
    parser.add_argument("--bits", choices=["16", "24", "32f"], default="24")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--socket", type=Path, help="the engine's socket (default: find it)")


def run_serve(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if args.status:
        return _status(args)
    if args.record:
        return _record()
    if args.latency_table is not None:
        return _latency_table(args.latency_table)
    from lars_plugin.audio import discard_unfinished
    from lars_plugin.bridge.engine.realtime import run_in_real_time
    from lars_plugin.bridge.engine.server import Server
    from lars_plugin.bridge.engine.serving import (
        publish,
        refuse_second_engine,
        set_up_log,
        settings_from,
    )
    from lars_plugin.bridge.installed import remember_installation

    set_up_log(args.log)
    refuse_second_engine(args)
    settings = settings_from(args)
    if not (args.models_from or os.environ.get("LARS_RUNTIME_DIR")):  # the user's ordinary engine
        remember_installation(newest=True)
    if args.realtime:
        run_in_real_time()
    # The threads hand each other small pieces of work; the default is 5 ms of waiting for each.
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = Server(settings)
    try:
        runtime = publish(server, settings)
        try:
            previous = {
                number: signal.signal(number, lambda *_: server.stop())
                for number in (signal.SIGTERM, signal.SIGINT)
            }
            for name in args.preload:
                # The thread stays for as long as an unused model may.
                server.pool.release(server.pool.lease(name))
            print("ready", settings.socket or "", server.address or "", file=sys.stderr, flush=True)
            server.serve()
            for number, handler in previous.items():
                signal.signal(number, handler)
        finally:
            runtime.unlink(missing_ok=True)
    finally:
        server.close()
        discard_unfinished()  # of jobs that did not stop in time
    return 0


def _record() -> int:
    from lars_plugin.bridge.installed import own_command, record_installation

    path = record_installation()
    print(f"recorded in {path}: {' '.join(own_command())}")
    return 0


def _status(args: argparse.Namespace) -> int:
    from lars_plugin.bridge.client.engine_client import EngineClient

    with EngineClient(args.socket) as client:
        report = client.status()
    print(f"{report['engine']}, pid {report['pid']}, up {report['uptime_seconds']:.0f} s")
    for model in report["models"]:
        print(
            f"model {model['name']} ({model['backend'] or 'loading'}): {model['leases']} in use,"
            f" {model['chunks']} chunks in {model['runs']} runs"
        )
    for session in report["sessions"]:
        print(
            f"session {session['session']} {session['client']}: {session['model']}"
            f" {session['mode']} {session['sample_rate']:g} Hz x {session['channels']},"
            f" latency {session['latency_samples']}, real-time ratio"
            f" {session['real_time_ratio']:.3f}, misses {session['replaced_samples']} samples,"
            f" queue {session['queued_samples']} samples, errors {session['errors']}"
        )
    for job in report["jobs"]:
        print(f"job {job['model']}: {job['done']} of {job['total']} samples")
    if not report["sessions"] and not report["jobs"]:
        print("no sessions, no jobs")
    return 0


def _latency_table(names: Sequence[str]) -> int:
    from lars_plugin.bridge.engine.latency import latency_table
    from lars_plugin.zoo import list_models

    known = {config.name: config for config in list_models()}
    wanted = names or [name for name in _LIVE_MODELS if name in known]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise InputError(f"no model {', '.join(missing)}; see: lars models list")
    print(latency_table([known[name] for name in wanted]))
    return 0


def run_stream(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from lars_plugin.audio import input_path
    from lars_plugin.bridge.client.streaming import stream_file

    start = time.perf_counter()
    result = stream_file(
        input_path(args.input),
        args.output,
        address=args.socket,
        model=args.model,
        mode=args.mode,
        paced=args.paced,
        block=args.block,
        step=args.step,
        lookahead=args.lookahead,
        fallback=args.fallback,
        board=args.board,
        bits=args.bits,
        overwrite=args.overwrite,
    )
    for path in result.files:
        print(path)
    seconds = time.perf_counter() - start
    print(
        f"{result.seconds:.2f} s of audio in {seconds:.2f} s, latency {result.latency} samples,"
        f" {result.stats.missing} samples missed, {result.stats.replaced} replaced by the engine",
        file=sys.stderr,
    )
    return 0
