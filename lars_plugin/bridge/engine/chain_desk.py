# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network thread does about CHAIN and EFFECTS: it reads, and others do the work."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lars_plugin.bridge.engine.chains import ChainBuilder, effects_report, read_chains
from lars_plugin.bridge.engine.connection import Connection
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.protocol import messages
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.chain.plugin_thread import start_on_plugin_thread
from lars_plugin.errors import LarsError, ProtocolError

__all__ = ["build_chain", "tell_effects"]

log = logging.getLogger(__name__)


def build_chain(
    connection: Connection,
    session: Session,
    message: messages.Chain,
    ready: Callable[[], None],
) -> None:
    """Have the effects of a CHAIN made, one CHAIN after the other.

    Args:
        connection: gets the error.
        session: the stream.
        message: the CHAIN.
        ready: called when the session has them.

    Raises:
        InputError: what is wanted is not understood.
        ProtocolError: the stream is not open yet.
    """
    if not session.prepared:
        raise ProtocolError("CHAIN before OPENED; wait for that")
    chains = read_chains(message.chains)
    builder = session.chain_builder
    if builder is None:
        builder = session.chain_builder = ChainBuilder(
            session.stems,
            session.requested.sample_rate,
            session.requested.channels,
            on_disk=not connection.remote,
        )

    def build() -> None:
        try:
            built = builder.build(chains, total=bool(message.total), states=bool(message.states))
            session.check_goes_on()
            session.built.append(built)
            ready()
        except LarsError as error:
            connection.send(error_message(error, request=message.request))
        except Exception as error:
            log.exception("chain not made", extra={"session": session.number})
            connection.send(error_message(error, request=message.request))

    start_on_plugin_thread(build)


def tell_effects(connection: Connection, message: messages.Effects) -> None:
    """Answer EFFECTS; folders may be slow. Plugins on disk are nothing for other machines."""

    def tell() -> None:
        try:
            report = effects_report(on_disk=not connection.remote)
            connection.send(messages.EffectsReport(request=message.request, report=report))
        except LarsError as error:
            connection.send(error_message(error, request=message.request))
        except Exception as error:
            log.exception("effects not listed")
            connection.send(error_message(error, request=message.request))

    start_on_plugin_thread(tell)
