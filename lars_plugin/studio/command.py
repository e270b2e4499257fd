# SPDX-License-Identifier: GPL-3.0-or-later
"""``lars studio``: a page that separates what is dropped on it."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import socket
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import InputError, LarsError
from lars_plugin.options import PRESET_CHOICES, add_model_option

if TYPE_CHECKING:
    from lars_plugin.studio.folders import Folders

__all__ = ["add_studio_parser", "run_studio"]

log = logging.getLogger(__name__)

_BROWSER = 15.0  # seconds that a browser may take to open

_EPILOG = """\
Stems lie below the folder, in one of their own for each recording, as 32-bit float WAV; the page
gives them away in every format of `lars separate`, the same to the bit. Recordings, peaks and the
list of jobs are in the hidden folder .studio; removing a job in the page removes its part of it.

The address that is printed works once, within a quarter of an hour, and only on this machine. Run
the command again for another: it finds the server that runs, and hands FILEs over to it.
"""


def add_studio_parser(subparsers: Any) -> None:
    """Add the command to the main parser."""
    parser = subparsers.add_parser(
        "studio",
        help="a page to separate, hear and remix drums",
        description="Open a page in the browser: drop recordings, hear their drums come apart,"
        " remix them, take stems and MIDI away. Runs until Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="recordings, folders or patterns to begin with")
    add_model_option(parser, more="for FILEs")
    add("--preset", choices=PRESET_CHOICES, help="speed against quality, for FILEs")
    add("--folder", type=Path, metavar="DIR", help="where results are kept (default: LARS in your"
        " music folder)")  # fmt: skip
    add("--port", type=int, default=0, help="default: as last time if it is free, else any")
    add("--no-browser", action="store_true", help="only print the address")
    add("--max-upload", type=int, default=1024, metavar="MIB",
        help="largest file that the page may send (default: %(default)s)")  # fmt: skip
    add("--host", metavar="ADDRESS", default="",
        help="listen on another address than this machine's own; with --allow-remote")  # fmt: skip
    add("--allow-remote", action="store_true",
        help="let --host name an address that others can reach, without encryption")  # fmt: skip
    add("-v", "--verbose", action="store_true", help="print more")


def run_studio(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise LarsError(
            f"{' and '.join(missing)} not installed: run pip install 'lars-plugin[studio]'"
        )
    _check(args)
    from lars_plugin.studio.app import WEB
    from lars_plugin.studio.folders import Folders, default_folder
    from lars_plugin.studio.instance import hand_over, lock_folder
    from lars_plugin.studio.settings import JobSettings

    settings = JobSettings(model=args.model, preset=args.preset or "")
    if not (WEB / "index.html").is_file():
        raise LarsError(
            f"the page is not built ({WEB} is missing): install npm and run `npm ci` and"
            " `npm run build` in the folder studio, or install a wheel"
        )
    folders = Folders(args.folder or default_folder())
    files = [os.path.abspath(name) for name in args.files]
    lock = lock_folder(folders.hidden / "lock")
    deadline = time.monotonic() + 10
    while lock is None:
        url = hand_over(folders.state, files, settings.to_json())
        if url is not None:
            opening = _show(url, args, "the studio is running already; ")
            if opening is not None:
                opening.join(_BROWSER)
            return 0
        if time.monotonic() > deadline:
            raise LarsError(f"another studio holds {folders.root} but does not answer; stop it")
        time.sleep(0.2)
        lock = lock_folder(folders.hidden / "lock")
    return _serve(args, folders, files, settings)


def _check(args: argparse.Namespace) -> None:
    if not 0 <= args.port < 65536:
        raise InputError(f"--port must be 0 to 65535, got {args.port}")
    if args.max_upload < 1:
        raise InputError(f"--max-upload must be 1 or more, got {args.max_upload}")
    if args.host and not args.allow_remote and not _is_loopback(args.host):
        raise InputError(
            f"--host {args.host} can be reached by others: add --allow-remote if you mean it"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _serve(args: argparse.Namespace, folders: Folders, files: list[str], settings: Any) -> int:
    import uvicorn

    from lars_plugin.studio.app import make_app
    from lars_plugin.studio.instance import Instance, last_port
    from lars_plugin.studio.security import Sessions
    from lars_plugin.studio.studio import Studio

    listener = _listen(args.host or "127.0.0.1", args.port, last_port(folders.state))
    port: int = listener.getsockname()[1]
    instance = Instance.new(args.host, port)
    sessions = Sessions(folders.sessions, instance.control)
    studio = Studio(folders.root, args.max_upload << 20)
    app = make_app(studio, sessions, port, args.host)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            instance.write(folders.state)
            _show(f"{app.address}/start?token={sessions.new_token()}", args, "")

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Once: stopping is bounded, and after a second signal uvicorn would leave the
            # application behind, with a traceback.
            if not self.should_exit:
                super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            studio.events.close()  # they would be waited for
            await super().shutdown(sockets)

    if files:
        for line in studio.open(files, settings):
            log.warning("%s; left out", line)
    level = "info" if args.verbose else "warning"
    config = uvicorn.Config(
        app, log_level=level, lifespan="on", timeout_graceful_shutdown=3, access_log=False,
        server_header=False, ws="none",
    )  # fmt: skip
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # Ctrl-C is how it ends
    finally:
        instance.gone(folders.state)
    print("stopped; waiting jobs go on with the next lars studio", flush=True)
    return 0


def _listen(host: str, port: int, last: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The port that was asked for, or the last one, which open pages know, or any.
    for candidate in (port,) if port else (last, 0):
        listener = socket.socket(family)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as error:
            listener.close()
            reason = error.strerror
            continue
        return listener
    raise LarsError(f"cannot listen on {host} port {port}: {reason}; choose another --port")


def _show(url: str, args: argparse.Namespace, before: str) -> threading.Thread | None:
    """Print an address and open it; returns what opens it, if a browser is wanted."""
    print(f"{before}open {url}", flush=True)
    if args.no_browser or not _has_screen():
        return None
    import webbrowser

    # Some browsers keep whoever opens them waiting.
    opening = threading.Thread(target=webbrowser.open, args=(url,), daemon=True)
    opening.start()
    return opening


def _has_screen() -> bool:
    """A browser in the terminal would take it from us."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
