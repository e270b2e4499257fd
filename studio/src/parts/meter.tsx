// SPDX-License-Identifier: GPL-3.0-or-later
import { useEffect, useRef } from "preact/hooks";
import type { Engine } from "../audio/engine";

const FALL = 1.2; // dB per picture

/** A level meter from -60 to 0 dBFS; red above. */
export function Meter({ engine, lane, label }: { engine: Engine; lane?: string; label: string }) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    let [wanted, level, shown] = [0, -60, ""];
    const draw = () => {
      const peak = engine.peak(lane);
      const now = peak > 0 ? 20 * Math.log10(peak) : -60;
      level = Math.max(now, level - FALL, -60);
      const width = `${Math.min(100, ((level + 60) / 60) * 100).toFixed(1)}%`;
      if (bar.current && width !== shown) {
        bar.current.style.width = shown = width;
        bar.current.classList.toggle("clip", level > 0);
      }
      wanted = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(wanted);
  }, [engine, lane]);
  return (
    <div class="meter" role="img" aria-label={label}>
      <i ref={bar} />
    </div>
  );
}
