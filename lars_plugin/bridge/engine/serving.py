# SPDX-License-Identifier: GPL-3.0-or-later
"""What `lars serve` does before it serves: log, one engine only, settings, runtime file."""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lars_plugin.errors import BridgeError, ConnectionLostError, InputError

if TYPE_CHECKING:
    from lars_plugin.bridge.engine.server import Server, Settings
    from lars_plugin.model import AnyModel

__all__ = ["publish", "refuse_second_engine", "set_up_log", "settings_from"]


def set_up_log(form: str) -> None:
    """Log to standard error, as ``text`` or ``json``."""
    from lars_plugin.bridge.engine.log import EventFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter(as_json=form == "json"))
    logger = logging.getLogger("lars_plugin")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def refuse_second_engine(args: argparse.Namespace) -> None:
    """Each runtime folder has one engine; the socket of one that died is removed.

    Raises:
        BridgeError: an engine runs already, or the folder cannot be written.
    """
    from lars_plugin.bridge.auth import has_local_sockets
    from lars_plugin.bridge.client.engine_client import EngineClient
    from lars_plugin.bridge.discovery import runtime_file, runtime_folder, socket_path

    try:
        # None is the engine of the runtime file; it may listen elsewhere.
        local = args.socket or socket_path(runtime_folder()) if has_local_sockets() else None
        for address in dict.fromkeys((local, None)):
            if address is not None and not address.exists():
                continue
            if address is None and not runtime_file().exists():
                continue
            with EngineClient(address, timeout=2.0) as client:
                pid = client.engine.pid
            raise BridgeError(f"an engine is running already (pid {pid}); stop it: kill {pid}")
    except ConnectionLostError:
        pass  # nobody answers: it did not clean up after itself
    if local is None:
        return
    path = local
    try:
        if path.is_socket():
            path.unlink()
    except OSError as error:
        raise BridgeError(
            f"the engine cannot write into {path.parent} ({error.strerror or error}); set"
            " LARS_RUNTIME_DIR to a folder of your own that can be written"
        ) from error


def settings_from(args: argparse.Namespace) -> Settings:
    """The engine's settings; makes the runtime folder, and the token where one is needed.

    Raises:
        InputError: an invalid argument.
        AuthError, BridgeError: the runtime folder is not ours alone, or cannot be written.
    """
    from lars_plugin.bridge.auth import has_local_sockets, new_token, private_folder, write_private
    from lars_plugin.bridge.discovery import runtime_folder, socket_path
    from lars_plugin.bridge.engine.server import Settings

    names, load, installed, more = _models(args)
    folder = private_folder(runtime_folder())
    path: Path | None = None
    host, port, token = None, 0, ""
    if has_local_sockets():
        path = args.socket or socket_path(folder)
    elif args.socket is not None:
        raise InputError(
            "this system has no Unix sockets that tell who connects: leave --socket out; clients"
            " find the engine's TCP port and its token in the runtime folder"
        )
    if args.socket is not None:
        private_folder(args.socket.absolute().parent)
    if args.tcp is not None or path is None:
        host, port = _address(args.tcp or "0")
        token = new_token()
        write_private(folder / "token", token + "\n")
    return Settings(
        models=names,
        load=_for_good(load),
        installed=installed,
        **more,
        socket=path,
        host=host,
        port=port,
        token=token,
        allow_remote=args.allow_remote,
        roots=args.files,
        idle_seconds=args.idle,
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise InputError(f"--tcp takes a port or host:port, got {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _models(
    args: argparse.Namespace,
) -> tuple[tuple[str, ...], Callable[[str], AnyModel], Callable[[str], bool], dict[str, Any]]:
    """Names, what loads one, what tells whether its weights are here, and more of ``Settings``."""
    if args.models_from is None:
        from lars_plugin.bridge.engine.offers import describe, fetch_weights
        from lars_plugin.zoo import list_models, load_model
        from lars_plugin.zoo.command import is_here

        # Those that a client can open at once come first.
        configs = {one.name: one for one in sorted(list_models(), key=lambda one: not is_here(one))}
        load = functools.partial(
            load_model, device=args.device, backend=args.backend, precision=args.precision
        )
        return (
            tuple(configs),
            load,
            lambda name: is_here(configs[name]),
            {"fetch": fetch_weights, "describe": functools.cache(lambda n: describe(configs[n]))},
        )
    try:
        module = importlib.import_module(args.models_from)
        makers = module.MODELS
    except (ImportError, AttributeError) as error:
        raise InputError(f"--models-from {args.models_from}: {error}") from error
    offers: dict[str, dict[str, object]] = getattr(module, "OFFERS", {})
    return (
        tuple(makers),
        lambda name: makers[name](),
        getattr(module, "installed", lambda _: True),
        {
            "describe": lambda name: offers.get(name, {}),
            **({"fetch": module.fetch} if hasattr(module, "fetch") else {}),
        },
    )


def _for_good(load: Callable[[str], AnyModel]) -> Callable[[str], AnyModel]:
    """A loader after which the garbage collector leaves alone what there is by then.

    A model brings a million objects with it, and to look through them takes as long as ten blocks
    of live audio.
    """

    def loaded(name: str) -> AnyModel:
        model = load(name)
        gc.collect()
        gc.freeze()
        return model

    return loaded


def publish(server: Server, settings: Settings) -> Path:
    """Write the runtime file by which clients find the engine."""
    from lars_plugin.bridge.discovery import RuntimeFile, runtime_folder
    from lars_plugin.bridge.engine.status import engine_name

    host, port = server.address or ("", 0)
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    runtime = RuntimeFile(
        pid=os.getpid(),
        engine=engine_name(),
        socket=str(settings.socket.absolute()) if settings.socket else "",
        host=host,
        port=port,
        token_file=str(runtime_folder().absolute() / "token") if port else "",
    )
    return runtime.write()
