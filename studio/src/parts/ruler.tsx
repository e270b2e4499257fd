// SPDX-License-Identifier: GPL-3.0-or-later
// Times above the lanes; a drag chooses the loop, a click moves the playhead.
import { useRef } from "preact/hooks";
import type { Engine } from "../audio/engine";
import { step, type View } from "../draw/view";
import { useEngine } from "./player";

const DRAG = 4; // pixels that make a click a drag

export function Ruler({ engine, view, frameAt }: {
  engine: Engine; view: View; frameAt: (x: number) => number;
}) {
  useEngine(engine);
  const from = useRef<number | null>(null);
  const { rate } = engine.job;
  const seconds = (view.end - view.start) / rate;
  const every = step(seconds, 8);
  const first = Math.ceil(view.start / rate / every);
  const ticks = Array.from(
    { length: Math.max(0, Math.floor(view.end / rate / every) - first + 1) },
    (_, index) => (first + index) * every,
  );
  const part = (frame: number) => ((frame - view.start) / (view.end - view.start)) * 100;
  const { loop } = engine;
  return (
    <div class="ruler-row">
      <span class="head note">drag: loop</span>
      <div
        class="ruler"
        onPointerDown={(event) => {
          from.current = event.clientX;
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerUp={(event) => {
          const begun = from.current;
          from.current = null;
          if (begun === null) return;
          const [a, b] = [frameAt(begun), frameAt(event.clientX)];
          if (Math.abs(event.clientX - begun) < DRAG) engine.seek(b);
          else {
            engine.setLoop({ start: Math.round(Math.min(a, b)), end: Math.round(Math.max(a, b)) });
            engine.seek(Math.min(a, b));
          }
        }}
        onPointerCancel={() => (from.current = null)}
      >
        {loop && (
          <i
            class="loop"
            style={{
              left: `${Math.max(0, part(loop.start))}%`,
              width: `${Math.min(100, part(loop.end)) - Math.max(0, part(loop.start))}%`,
            }}
          />
        )}
        {ticks.map((time) => (
          <span key={time} style={{ left: `${part(time * rate)}%` }}>
            {label(time, every)}
          </span>
        ))}
      </div>
    </div>
  );
}

function label(time: number, every: number): string {
  const digits = every >= 1 ? 0 : every >= 0.1 ? 1 : every >= 0.01 ? 2 : 3;
  const minutes = Math.floor(time / 60 + 1e-9);
  const rest = Math.abs(time - minutes * 60).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}
