# SPDX-License-Identifier: GPL-3.0-or-later
"""A small X11 window on which files are dropped (XDND version 5), as on a DAW's."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from Xlib import X, Xatom, display
from Xlib.protocol import event

__all__ = ["DropTarget"]

VERSION = 5


class DropTarget:
    """Keeps what was dropped on it.

    Args:
        name: the X server's display.
        place: x, y, width and height on the screen.
    """

    def __init__(self, name: str, place: tuple[int, int, int, int]) -> None:
        self.dropped: list[str] = []  # lines of text/uri-list, one entry per drop
        self.offered: list[str] = []  # the types of the drag that came last
        self._display = display.Display(name)
        x, y, width, height = place
        screen = self._display.screen()
        self._window = screen.root.create_window(
            x, y, width, height, 0, screen.root_depth, background_pixel=screen.white_pixel,
            override_redirect=True, event_mask=X.PropertyChangeMask,
        )  # fmt: skip
        self._window.change_property(self._atom("XdndAware"), Xatom.ATOM, 32, [VERSION])
        self._window.map()
        self._display.flush()
        self._source = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drop target")
        self._thread.start()

    def __enter__(self) -> DropTarget:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._window.destroy()
        self._display.close()

    def _atom(self, name: str) -> int:
        return int(self._display.intern_atom(name))

    def _run(self) -> None:
        while not self._ends.wait(0.01):
            while self._display.pending_events():
                self._handle(self._display.next_event())

    def _handle(self, one: Any) -> None:
        if one.type == X.SelectionNotify:
            self._receive(one)
        elif one.type == X.ClientMessage:
            data = list(one.data[1])
            kind = self._display.get_atom_name(one.client_type)
            if kind == "XdndEnter":
                self._source = data[0]
                self.offered = [self._display.get_atom_name(a) for a in data[2:5] if a]
            elif kind == "XdndPosition":
                self._tell("XdndStatus", 1, 0, 0, self._atom("XdndActionCopy"))
            elif kind == "XdndDrop":
                self._window.convert_selection(
                    self._atom("XdndSelection"), self._atom("text/uri-list"),
                    self._atom("LARS_DROP"), data[2],
                )  # fmt: skip
                self._display.flush()

    def _receive(self, one: Any) -> None:
        text = ""
        if one.property != X.NONE:
            value = self._window.get_full_property(one.property, X.AnyPropertyType)
            raw = value.value
            text = (raw if isinstance(raw, bytes) else bytes(raw)).decode("utf-8", "replace")
        self._tell("XdndFinished", 1, self._atom("XdndActionCopy"), 0, 0)
        self.dropped.append(text)

    def _tell(self, kind: str, *values: int) -> None:
        source = self._display.create_resource_object("window", self._source)
        data = (32, [self._window.id, *values])
        source.send_event(
            event.ClientMessage(window=source, client_type=self._atom(kind), data=data)
        )
        self._display.flush()
