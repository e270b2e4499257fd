// SPDX-License-Identifier: GPL-3.0-or-later
// Stems, zip, remix, MIDI and picture as files.
import { useState } from "preact/hooks";
import { save, saveLarge } from "../api";
import type { Engine } from "../audio/engine";
import { heard } from "../audio/mixer";
import { remember, remembered, store } from "../store";
import type { Job } from "../types";
import { laneName } from "../words";
import { useEngine } from "./player";

const FORMATS: [string, string][] = [
  ["wav 16", "WAV, 16 bits"],
  ["wav 24", "WAV, 24 bits"],
  ["wav 32f", "WAV, 32-bit float"],
  ["flac 16", "FLAC, 16 bits"],
  ["flac 24", "FLAC, 24 bits"],
];
const GRIDS = ["", "1/4", "1/8", "1/8t", "1/16", "1/16t", "1/32"];

export function TakeAway({ engine, job }: { engine: Engine; job: Job }) {
  useEngine(engine);
  const [format, setFormat] = useState(remembered<string>("format") ?? "wav 24");
  const [rescale, setRescale] = useState(false);
  const [busy, setBusy] = useState("");
  const [extension = "wav", bits = "24"] = format.split(" ");
  const base = `/api/jobs/${job.id}`;
  const loud = job.stems.filter((stem) => (job.peaks[stem] ?? 0) > 1);
  const take = (what: string, path: string) => {
    setBusy(what);
    store.try(save(path).finally(() => setBusy("")));
  };
  const query = `bits=${bits}${rescale ? "&rescale=1" : ""}`;
  const mix = () => {
    const parts = job.stems
      .filter((stem) => heard(engine.faders, stem) && engine.faders.get(stem)!.gain > -60)
      .map((stem) => {
        const { gain, pan } = engine.faders.get(stem)!;
        return [stem, { gain: gain + engine.volume, pan }] as const;
      });
    return encodeURIComponent(JSON.stringify(Object.fromEntries(parts)));
  };
  return (
    <section class="card take" aria-label="Take away">
      <h2>Take away</h2>
      <div class="row">
        <label>
          <span>Format</span>
          <select
            value={format}
            onChange={(event) => {
              setFormat(event.currentTarget.value);
              remember("format", event.currentTarget.value);
            }}
          >
            {FORMATS.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {loud.length > 0 && bits !== "32f" && (
          <label class="check">
            <input
              type="checkbox" checked={rescale}
              onChange={(event) => setRescale(event.currentTarget.checked)}
            />
            <span>
              Lower all alike: {loud.map(laneName).join(", ")} would clip
            </span>
          </label>
        )}
      </div>
      <div class="row">
        <button
          type="button" class="main"
          onClick={() => saveLarge(`${base}/stems.zip?format=${extension}&${query}`)}
        >
          All stems (zip)
        </button>
        {job.stems.map((stem) => (
          <button
            key={stem} type="button" class="stem" data-lane={stem}
            onClick={() => saveLarge(`${base}/stems/${stem}.${extension}?${query}`)}
          >
            {laneName(stem)}
          </button>
        ))}
        <button
          type="button" title="What you hear now: faders, mutes, pans"
          onClick={() => saveLarge(`${base}/remix.${extension}?bits=${bits}&mix=${mix()}`)}
        >
          This remix
        </button>
        <button
          type="button" disabled={busy !== "" || job.hits !== "done"}
          onClick={() => take("picture", `${base}/report.png`)}
        >
          Picture
        </button>
        <span class="note" role="status">
          {busy && "Preparing the file…"}
        </span>
      </div>
      <Midi job={job} busy={busy !== ""} take={(path) => take("midi", path)} />
    </section>
  );
}

function Midi({ job, busy, take }: { job: Job; busy: boolean; take: (path: string) => void }) {
  const [map, setMap] = useState("gm");
  const [bpm, setBpm] = useState("120");
  const [auto, setAuto] = useState(false);
  const [grid, setGrid] = useState("");
  const [strength, setStrength] = useState("100");
  const query = new URLSearchParams({
    map, bpm: auto ? "auto" : bpm, quantise: grid, strength: String(Number(strength) / 100),
  });
  return (
    <div class="row midi" role="group" aria-label="MIDI">
      <label>
        <span>Notes</span>
        <select value={map} onChange={(event) => setMap(event.currentTarget.value)}>
          <option value="gm">General MIDI</option>
          <option value="superior">Superior Drummer</option>
        </select>
      </label>
      <label>
        <span>Tempo</span>
        <input
          type="number" min={20} max={400} step="any" value={bpm} disabled={auto}
          onInput={(event) => setBpm(event.currentTarget.value)}
        />
      </label>
      <label class="check">
        <input
          type="checkbox" checked={auto}
          onChange={(event) => setAuto(event.currentTarget.checked)}
        />
        <span>Follow the hits</span>
      </label>
      <label>
        <span>Quantise</span>
        <select value={grid} onChange={(event) => setGrid(event.currentTarget.value)}>
          {GRIDS.map((value) => (
            <option key={value} value={value}>
              {value || "Off"}
            </option>
          ))}
        </select>
      </label>
      {grid && (
        <label>
          <span>Strength, %</span>
          <input
            type="number" min={0} max={100} value={strength}
            onInput={(event) => setStrength(event.currentTarget.value)}
          />
        </label>
      )}
      <button
        type="button" disabled={busy || job.hits !== "done"}
        onClick={() => take(`/api/jobs/${job.id}/hits.mid?${query.toString()}`)}
      >
        MIDI
      </button>
    </div>
  );
}
