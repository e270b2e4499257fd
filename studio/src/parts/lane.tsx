// SPDX-License-Identifier: GPL-3.0-or-later
// One lane: its head with fader and buttons, its waveform or spectrogram, its hits.
import { useEffect, useRef, useState } from "preact/hooks";
import { overview as getOverview, peaks, spectrogram, type Overview } from "../api";
import type { Engine } from "../audio/engine";
import { heard } from "../audio/mixer";
import {
  columnsOf, drawHits, drawSpectrogram, drawWave, laneColour, prepared,
} from "../draw/canvas";
import type { View } from "../draw/view";
import { store } from "../store";
import { MIXTURE, type Hit, type Job } from "../types";
import { clock, decibels, laneName } from "../words";
import { Icon } from "./icon";
import { Meter } from "./meter";
import { useEngine } from "./player";

const ROWS = 96;
const WAIT = 60; // milliseconds that a view has to rest before more detail is fetched
const NEAR = 8; // pixels

interface Props {
  engine: Engine;
  job: Job;
  lane: string;
  view: View;
  number: number;
  hits: Hit[];
  frameAt: (x: number) => number;
}

export function Lane(props: Props) {
  const { engine, job, lane, number } = props;
  useEngine(engine);
  const [spectral, setSpectral] = useState(false);
  const fader = engine.faders.get(lane);
  const name = laneName(lane);
  const change = engine.change.bind(engine, lane);
  const file = `/api/jobs/${job.id}/stems/${lane}.wav?bits=24`;
  return (
    <div class="lane" data-lane={lane} role="group" aria-label={name}>
      <div class="head">
        <a
          class="drag" href={file} download title="Drag it into your DAW or a folder, or click"
          aria-label={`${name} as WAV, 24 bits`}
          onDragStart={(event) => {
            const address = new URL(file, location.href).href;
            event.dataTransfer?.setData(
              "DownloadURL", `audio/wav:${job.folder} ${lane}.wav:${address}`,
            );
          }}
        >
          {name}
        </a>
        {fader && (
          <>
            <button
              type="button" class={fader.mute ? "mute on" : "mute"} aria-pressed={fader.mute}
              aria-label={`Mute ${name}`} title={`Shift ${number}`}
              onClick={() => change({ mute: !fader.mute })}
            >
              M
            </button>
            <button
              type="button" class={fader.solo ? "solo on" : "solo"} aria-pressed={fader.solo}
              aria-label={`Solo ${name}`} title={`${number}`}
              onClick={() => change({ solo: !fader.solo })}
            >
              S
            </button>
            <label class="gain">
              <span>
                Gain<span class="hidden"> of {name}</span>
              </span>
              <input
                type="range" min={-60} max={12} step={0.5} value={fader.gain}
                aria-valuetext={`${decibels(fader.gain)} dB`}
                onInput={(event) => change({ gain: Number(event.currentTarget.value) })}
                onDblClick={() => change({ gain: 0 })}
              />
              <output>{decibels(fader.gain)}</output>
            </label>
            <label class="pan">
              <span>
                Pan<span class="hidden"> of {name}</span>
              </span>
              <input
                type="range" min={-1} max={1} step={0.05} value={fader.pan}
                aria-valuetext={side(fader.pan)}
                onInput={(event) => change({ pan: Number(event.currentTarget.value) })}
                onDblClick={() => change({ pan: 0 })}
              />
            </label>
          </>
        )}
        <button
          type="button" class={spectral ? "spectral on" : "spectral"} aria-pressed={spectral}
          aria-label={`Spectrogram of ${name}`} title="Spectrogram"
          onClick={() => setSpectral(!spectral)}
        >
          <Icon path="M1 12h2v3H1zM5 8h2v7H5zM9 10h2v5H9zM13 3h2v12h-2zM5 3h2v3H5zM1 8h2v2H1zM9 5h2v3H9z" />
        </button>
        <Meter engine={engine} lane={lane} label={`Level of ${name}`} />
      </div>
      <Wave {...props} spectral={spectral} />
    </div>
  );
}

function side(pan: number): string {
  if (!pan) return "middle";
  return `${Math.round(Math.abs(pan) * 100)} % ${pan < 0 ? "left" : "right"}`;
}

function Wave({ engine, job, lane, view, hits, frameAt, spectral }: Props & { spectral: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = useRef<HTMLCanvasElement>(null);
  const begun = useRef(0); // where the pointer went down
  const [overview, setOverview] = useState<Overview | null>(null);
  const [detail, setDetail] = useState<{ view: View; pairs: Int16Array } | null>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<Hit | null>(null);
  const theme = document.documentElement.dataset.theme;

  useEffect(() => {
    store.try(getOverview(job.id, lane).then(setOverview));
    const watch = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    if (canvas.current) watch.observe(canvas.current);
    return () => watch.disconnect();
  }, [job.id, lane]);

  useEffect(() => {
    const element = canvas.current;
    if (!element || !overview || !width) return;
    const close = (view.end - view.start) / width < overview.bucket;
    if (!close || (detail?.view === view)) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const start = Math.floor(view.start);
      const frames = Math.max(1, Math.ceil(view.end) - start);
      const columns = Math.max(1, Math.min(4096, Math.round(width), frames));
      store.try(
        peaks(job.id, lane, start, frames, columns, stop.signal)
          .then((pairs) => setDetail({ view, pairs })),
      );
    }, WAIT);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [overview, view, width]);

  useEffect(() => {
    const element = canvas.current;
    if (!element || !overview || !width) return;
    const { pen, height, scale } = prepared(element);
    const colour = laneColour(element);
    const columns = Math.round(width * scale);
    // Until detail comes, what is known is drawn wider.
    const pairs =
      detail?.view === view
        ? detail.pairs
        : (columnsOf(overview, view, columns) ??
          columnsOf(overview, view, Math.max(1, (view.end - view.start) / overview.bucket)));
    const peak = Math.max(job.peaks[lane] ?? 0, 1);
    if (pairs && !spectral) drawWave(pen, width, height, pairs, colour, 1 / peak);
    if (hits.length)
      drawHits(pen, width, height, hits, view, job.rate,
        getComputedStyle(element).getPropertyValue("--hit").trim());
  }, [overview, detail, view, width, hits, spectral, theme]);

  useEffect(() => {
    const element = picture.current;
    if (!spectral || !element || !width) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const start = Math.floor(view.start);
      const frames = Math.max(1, Math.ceil(view.end) - start);
      const columns = Math.max(1, Math.min(1200, Math.round(width)));
      store.try(
        spectrogram(job.id, lane, start, frames, columns, ROWS, stop.signal).then((data) =>
          drawSpectrogram(element, data, columns, ROWS, laneColour(element)),
        ),
      );
    }, WAIT);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [spectral, view, width]);

  const nearest = (x: number): Hit | null => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const time = frameAt(x) / job.rate;
    const reach = ((view.end - view.start) / job.rate / Math.max(1, box.width)) * NEAR;
    let best: Hit | null = null;
    for (const hit of hits)
      if (Math.abs(hit.time - time) < Math.abs((best?.time ?? time + reach) - time)) best = hit;
    return best;
  };
  const { loop } = engine;
  const part = (frame: number) =>
    Math.min(100, Math.max(0, ((frame - view.start) / (view.end - view.start)) * 100));
  const silent = lane !== MIXTURE && !heard(engine.faders, lane);
  const count = hits.length ? `, ${hits.length} hits` : "";
  return (
    <div
      class={silent ? "wave silent" : "wave"}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        begun.current = event.clientX;
        if (event.pointerType !== "touch") engine.seek(frameAt(event.clientX));
      }}
      onPointerMove={(event) => {
        if (!(event.buttons & 1)) setHover(nearest(event.clientX));
        else if (event.pointerType !== "touch" || Math.abs(event.clientX - begun.current) > NEAR)
          engine.seek(frameAt(event.clientX));
      }}
      onPointerUp={(event) => {
        // A finger that scrolls the page is not lifted from here: the browser takes it over.
        if (event.pointerType === "touch") engine.seek(frameAt(event.clientX));
      }}
      onPointerLeave={() => setHover(null)}
    >
      {spectral && <canvas ref={picture} class="spectrogram" aria-hidden="true" />}
      <canvas ref={canvas} role="img" aria-label={`Waveform of ${laneName(lane)}${count}`} />
      {loop && (
        <i
          class="loop"
          style={{ left: `${part(loop.start)}%`, width: `${part(loop.end) - part(loop.start)}%` }}
        />
      )}
      {hover && (
        <span class="tip" style={{ left: `${part(hover.time * job.rate)}%` }}>
          {laneName(hover.stem)}, {hover.articulation}, velocity {hover.velocity} at{" "}
          {clock(hover.time)}
        </span>
      )}
    </div>
  );
}
