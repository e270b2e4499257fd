// SPDX-License-Identifier: GPL-3.0-or-later
import { useEffect, useRef } from "preact/hooks";
import type { Engine } from "../audio/engine";
import { zoomed, type View } from "../draw/view";
import { store } from "../store";
import type { Job } from "../types";
import { clock, decibels } from "../words";
import { Icon } from "./icon";
import { Meter } from "./meter";
import { useEngine } from "./player";

export function Transport({ engine, job, view, setView }: {
  engine: Engine; job: Job; view: View; setView: (view: View) => void;
}) {
  useEngine(engine);
  const zoom = (by: number) => setView(zoomed(view, by, engine.position, job.frames));
  const matched = engine.levels ? 20 * Math.log10(engine.match) : null;
  return (
    <div class="transport" role="group" aria-label="Transport">
      <button
        type="button" class={engine.playing ? "play on" : "play"}
        aria-label={engine.playing ? "Pause" : "Play"} onClick={() => store.try(engine.toggle())}
      >
        <Icon path={engine.playing ? "M3 2h4v12H3zM9 2h4v12H9z" : "M3 1l11 7-11 7z"} />
      </button>
      <button type="button" aria-label="To the beginning" onClick={() => engine.seek(0)}>
        <Icon path="M2 2h3v12H2zM14 2v12L5 8z" />
      </button>
      <button
        type="button" class={engine.loop ? "on" : ""} aria-pressed={!!engine.loop}
        title="Loop what is shown, or drag on the ruler"
        onClick={() => engine.setLoop(engine.loop ? null : { start: view.start, end: view.end })}
      >
        Loop
      </button>
      <Time engine={engine} />
      <div class="row" role="group" aria-label="Zoom">
        <button type="button" aria-label="Zoom out" onClick={() => zoom(0.5)}>
          −
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => zoom(2)}>
          +
        </button>
        <button type="button" onClick={() => setView({ start: 0, end: job.frames })}>
          All
        </button>
      </div>
      <span class="stretch" />
      {job.stems.length > 0 && (
        <div class="pair" role="group" aria-label="Original or stems, equally loud">
          <button
            type="button" class={engine.original ? "on" : ""} aria-pressed={engine.original}
            title={
              matched === null
                ? "Levels are matched when they have been measured"
                : `As loud as the stems: ${decibels(matched)} dB`
            }
            onClick={() => engine.setOriginal(true)}
          >
            Original
          </button>
          <button
            type="button" class={engine.original ? "" : "on"} aria-pressed={!engine.original}
            onClick={() => engine.setOriginal(false)}
          >
            Stems
          </button>
        </div>
      )}
      <label class="volume">
        <span>Volume</span>
        <input
          type="range" min={-60} max={6} step={0.5} value={engine.volume}
          aria-valuetext={`${decibels(engine.volume)} dB`}
          onInput={(event) => engine.setVolume(Number(event.currentTarget.value))}
          onDblClick={() => engine.setVolume(0)}
        />
      </label>
      <Meter engine={engine} label="Level of all" />
    </div>
  );
}

function Time({ engine }: { engine: Engine }) {
  const text = useRef<HTMLSpanElement>(null);
  const { rate, frames } = engine.job;
  useEffect(() => {
    let wanted = 0;
    const draw = () => {
      const now = clock(engine.position / rate);
      if (text.current && text.current.textContent !== now) text.current.textContent = now;
      wanted = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(wanted);
  }, [engine, rate]);
  return (
    <span class="time">
      <span class="hidden">Time </span>
      <span ref={text} data-testid="time" /> <small>/ {clock(frames / rate)}</small>
    </span>
  );
}
