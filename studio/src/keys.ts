// SPDX-License-Identifier: GPL-3.0-or-later
// The keyboard; parts/help.tsx lists what this does.
import type { Engine } from "./audio/engine";
import { zoomed, type View } from "./draw/view";
import { store } from "./store";

// Whether the focus went where it is by a click rather than by the keyboard.
let clicked = false;
window.addEventListener("pointerdown", () => (clicked = true), true);
window.addEventListener("keydown", (event) => {
  if (event.key === "Tab") clicked = false;
}, true);

export function handleKey(
  event: KeyboardEvent, engine: Engine, view: View, setView: (view: View) => void,
): void {
  if (event.ctrlKey || event.metaKey || event.altKey || taken(event)) return;
  const { rate } = engine.job;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  if (digit && (event.code.startsWith("Digit") || !event.shiftKey)) {
    const stem = engine.job.stems[Number(digit) - 1];
    const fader = stem === undefined ? undefined : engine.faders.get(stem);
    if (stem === undefined || !fader) return;
    engine.change(stem, event.shiftKey ? { mute: !fader.mute } : { solo: !fader.solo });
    event.preventDefault();
    return;
  }
  const actions: Record<string, () => void> = {
    " ": () => store.try(engine.toggle()),
    ArrowLeft: () => engine.seek(engine.position - rate),
    ArrowRight: () => engine.seek(engine.position + rate),
    ArrowUp: () => setView(zoomed(view, 1.5, engine.position, engine.frames)),
    ArrowDown: () => setView(zoomed(view, 1 / 1.5, engine.position, engine.frames)),
    Home: () => engine.seek(0),
    End: () => engine.seek(engine.frames),
    "0": () => setView({ start: 0, end: engine.frames }),
    a: () => engine.setOriginal(!engine.original),
    l: () => engine.setLoop(engine.loop ? null : { start: view.start, end: view.end }),
    i: () => engine.setLoop({
      start: engine.position, end: Math.max(engine.loop?.end ?? 0, engine.position + rate / 10),
    }),
    o: () => engine.setLoop({
      start: Math.min(engine.loop?.start ?? 0, engine.position - rate / 10), end: engine.position,
    }),
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** What has the focus needs the key itself. */
function taken(event: KeyboardEvent): boolean {
  const element = event.target;
  if (!(element instanceof HTMLElement)) return false;
  if (element.closest("dialog[open]")) return true;
  if (element instanceof HTMLSelectElement || element instanceof HTMLTextAreaElement) return true;
  const press = event.key === " " || event.key === "Enter";
  if (element instanceof HTMLInputElement) {
    if (element.type === "range") return /^(Arrow|Home|End|Page)/.test(event.key);
    return element.type === "checkbox" ? press : true;
  }
  // A button that was clicked keeps the focus, but its owner means the transport.
  return press && !clicked && ["BUTTON", "A", "SUMMARY"].includes(element.tagName);
}
