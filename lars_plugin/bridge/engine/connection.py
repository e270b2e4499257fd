# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's connection as the engine sees it: bytes in and out, nothing that ever waits."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from lars_plugin.bridge.engine.model_thread import ModelThread
from lars_plugin.bridge.engine.session import Session
from lars_plugin.bridge.protocol import limits
from lars_plugin.bridge.protocol.codes import error_message
from lars_plugin.bridge.protocol.messages import Hello, JobProgress, Message
from lars_plugin.bridge.protocol.wire import Decoder, encode
from lars_plugin.errors import LarsError, ProtocolError

__all__ = ["Connection"]

_HELLO_SECONDS = 5.0  # from accept to HELLO
_FRAME_SECONDS = 20.0  # from the first byte of a message to its last
_LINGER_SECONDS = 1.0  # to let a peer read the last error
# With this much unread, offline sessions pause and live ones drop their stems.
_CONGESTED_BYTES = 4 << 20
# Where a request's number lies in a message, and 0.
_REQUEST, _NONE = slice(24, 28), bytes(4)


class Connection:
    """A non-blocking socket with a decoder before it and a queue behind it.

    ``send`` may be called from any thread; everything else belongs to the network thread.

    Args:
        sock: connected; owned from now on.
        number: for logs.
        changed: called, from any thread, when there is something to write or to look after.
        remote: whether the peer may be on another machine.
    """

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        changed: Callable[[Connection], None],
        *,
        trusted: bool,
        remote: bool,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.number = number
        self.trusted = trusted  # its uid was checked, no token is needed
        self.remote = remote
        self.client = ""
        self.welcome = False
        self.session: Session | None = None
        self.model_thread: ModelThread | None = None
        self.ended_by: LarsError | None = None  # why the engine ended the last stream
        self.decoder = Decoder([Hello])
        self.closed = False
        self.interest = 0  # what the selector was told
        self._changed = changed
        self._lock = threading.Lock()
        self._out: deque[memoryview] = deque()
        self._out_bytes = 0
        self._overflow = False
        self._in_use: dict[bytes, bool] = {}  # numbers in use; True: by what the stream answers
        self._closing: float | None = None  # when to stop lingering
        self._since = time.monotonic()  # accept, or first byte of what is pending

    # Any thread.

    def send(self, message: Message) -> None:
        """Send now what the socket takes and keep the rest; after ``close`` do nothing."""
        data = encode(message, version=self.decoder.version)
        with self._lock:
            if self.closed or self._closing is not None:
                return
            self._push(data)

    def send_from(self, session: Session, data: bytes) -> None:
        """``send`` for an encoded message, if the session is still this connection's."""
        with self._lock:
            if self.closed or self._closing is not None or self.session is not session:
                return
            self._push(data)

    def ask(self, number: int, *, stream: bool) -> None:
        """A request has come, whose answer will carry its number.

        Args:
            stream: the answer is the stream's, so there is none if that ends before.

        Raises:
            ProtocolError: the number is 0, or an answer to it is on its way.
        """
        if not number:
            raise ProtocolError("a request needs a number that is not 0")
        key = number.to_bytes(4, "little")
        with self._lock:
            if key in self._in_use:
                raise ProtocolError(f"request number {number} is in use; take another")
            self._in_use[key] = stream

    def _push(self, data: bytes) -> None:
        if self._in_use and data[_REQUEST] != _NONE and data[5] != JobProgress.TYPE:
            self._in_use.pop(data[_REQUEST], None)
        sent = 0
        if not self._out:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                pass  # the network thread sends it when the peer has read
            except OSError:
                self._overflow = True  # the peer is gone; the network thread will see to it
        if sent == len(data):
            return
        self._out.append(memoryview(data)[sent:])
        self._out_bytes += len(data) - sent
        if self._out_bytes > limits.MAX_OUT_BYTES:
            self._overflow = True
        self._set_congested()
        self._changed(self)

    def _set_congested(self) -> None:
        if self.session is not None:
            self.session.congested = self._out_bytes > _CONGESTED_BYTES

    # The network thread.

    def attach(self, session: Session | None, keep: int = 0) -> None:
        """Make a session the connection's; what another one still sends is thrown away.

        Args:
            keep: a request number that stays in use, though a stream is to answer it.
        """
        with self._lock:
            self.session = session
            kept = keep.to_bytes(4, "little")
            self._in_use = {
                number: stream
                for number, stream in self._in_use.items()
                if number == kept or session is not None or not stream
            }
            self._set_congested()

    @property
    def doomed(self) -> bool:
        """Whether the peer is gone or reads nothing at all."""
        return self._overflow

    @property
    def lingering(self) -> bool:
        """Whether the last word is spoken."""
        return self._closing is not None

    @property
    def stranger(self) -> bool:
        """Whether it is not known who the peer is, nor whether it has the token."""
        return not (self.trusted or self.welcome)

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the peer to read."""
        return bool(self._out)

    @property
    def wants_read(self) -> bool:
        """Whether to read on: not while a session has as much as it may queue, nor while the peer
        does not read its answers."""
        if self._out_bytes > limits.MAX_UNREAD_BYTES:
            return False
        session = self.session
        return session is None or session.closed or session.queued_bytes < limits.MAX_IN_BYTES

    @property
    def gone(self) -> bool:
        """Whether the peer has closed, for while nothing is read: then reading does not tell."""
        if not hasattr(select, "poll"):
            return False
        hung_up = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
        poll = select.poll()
        poll.register(self.sock, hung_up)
        return any(event & hung_up for _, event in poll.poll(0))

    def overdue(self, now: float) -> bool:
        """Whether the peer took too long, or lingering is over."""
        if self._closing is not None:
            return now >= self._closing
        if not self.welcome:
            return now - self._since > _HELLO_SECONDS
        return self.decoder.pending > 0 and now - self._since > _FRAME_SECONDS

    def receive(self) -> Iterator[Message]:
        """Read once and give the messages that are complete.

        Raises:
            ConnectionError: the peer has closed, or is gone.
            ProtocolError: it does not speak the protocol.
        """
        decoder = self.decoder
        try:
            count = self.sock.recv_into(decoder.space())
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise ConnectionError(str(error)) from error
        if not count:
            raise ConnectionError("closed by the peer")
        if self._closing is not None:
            return  # it was told so; what it still says goes where the next bytes will lie
        if not decoder.pending and self.welcome:
            self._since = time.monotonic()
        decoder.wrote(count)
        yield from decoder.messages()
        if decoder.pending < count and self.welcome:
            self._since = time.monotonic()  # what is pending began in this very piece

    def flush(self) -> bool:
        """Write what the peer takes now; True when a session may go on because of that."""
        with self._lock:
            paused = self.session is not None and self.session.congested
            while self._out:
                try:
                    sent = self.sock.send(self._out[0])
                except (BlockingIOError, InterruptedError):
                    break
                except OSError:
                    self._overflow = True
                    break
                self._out_bytes -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                    break
                self._out.popleft()
            self._set_congested()
            if self._closing is not None and not self._out:
                self._finish_writing()
            return paused and self.session is not None and not self.session.congested

    def refuse(self, error: LarsError, request: int = 0) -> None:
        """One last ERROR; then only wait for the peer to read it and to go."""
        self.send(error_message(error, fatal=True, request=request))
        with self._lock:
            if self._closing is not None or self.closed:
                return
            self._closing = time.monotonic() + _LINGER_SECONDS
            if not self._out:
                self._finish_writing()

    def _finish_writing(self) -> None:
        try:
            # Closing at once, with bytes unread, could take the error from the peer's hands.
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._overflow = True

    def close(self) -> None:
        """Close the socket and drop what was not sent."""
        with self._lock:
            self.closed = True
            self._out.clear()
            self._out_bytes = 0
            self.sock.close()
