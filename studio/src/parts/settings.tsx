// SPDX-License-Identifier: GPL-3.0-or-later
// What is done with the next recordings: the model, the preset, and what each costs here.
import { useEffect } from "preact/hooks";
import { cancelDownload, downloadModel, measure } from "../api";
import { store, useStore } from "../store";
import type { Download, Model } from "../types";
import { cost, laneName, megabytes, presetName } from "../words";
import { Bar } from "./bar";

export function SettingsPanel() {
  const { snapshot, settings } = useStore();
  const models = snapshot?.models ?? [];
  const model = models.find(({ name }) => name === settings.model);
  const preset = model?.presets.find(({ name }) => name === settings.preset);
  const unknown = !!model?.here && !!preset && preset.cost === null;
  useEffect(() => {
    // Measured once, when nothing else is to be done.
    if (unknown) store.try(measure(settings.model, settings.preset));
  }, [unknown, settings.model, settings.preset]);
  if (!model) return null;
  const choose = (name: string) => {
    const chosen = models.find((other) => other.name === name);
    const has = chosen?.presets.some((other) => other.name === settings.preset);
    store.change({ model: name, preset: has ? settings.preset : "" });
  };
  return (
    <section class="card settings" aria-label="Settings of the next recordings">
      <label>
        <span>Model</span>
        <select value={model.name} onChange={(event) => choose(event.currentTarget.value)}>
          {models.map((other) => (
            <option key={other.name} value={other.name}>
              {other.name}
              {other.here ? "" : ` (not here${other.size ? `, ${megabytes(other.size)}` : ""})`}
            </option>
          ))}
        </select>
      </label>
      <p class="note">{model.description}.</p>
      <p class="note">
        Stems: {model.stems.map(laneName).join(", ")}. Licence: {model.license}.
      </p>
      {!model.here && <GetModel model={model} />}
      <label>
        <span>Preset</span>
        <select
          value={settings.preset}
          onChange={(event) => store.change({ preset: event.currentTarget.value })}
        >
          {model.presets.map((other) => (
            <option key={other.name} value={other.name}>
              {presetName(other.name)}
            </option>
          ))}
        </select>
      </label>
      {preset && <p class="note">{preset.for}.</p>}
      {model.here && (
        <p class="note" data-testid="cost">
          {preset?.cost == null
            ? "Its speed on this machine is measured when the studio has nothing else to do."
            : `On this machine: ${cost(preset.cost)} of music.`}
        </p>
      )}
      <details>
        <summary>More</summary>
        <label class="check">
          <input
            type="checkbox" checked={settings.redistribute}
            onChange={(event) => store.change({ redistribute: event.currentTarget.checked })}
          />
          <span>Make the stems add up to the recording</span>
        </label>
        <label class="check">
          <input
            type="checkbox" checked={settings.residual}
            onChange={(event) => store.change({ residual: event.currentTarget.checked })}
          />
          <span>Add a lane with what the stems leave over</span>
        </label>
        <label>
          <span>Recordings with more than two channels</span>
          <select
            value={settings.channels}
            onChange={(event) => store.change({ channels: event.currentTarget.value })}
          >
            <option value="">Stop and ask</option>
            <option value="front">Use the front pair</option>
            <option value="downmix">Mix down to stereo</option>
            <option value="1,2">Use channels 1 and 2</option>
          </select>
        </label>
      </details>
    </section>
  );
}

function GetModel({ model }: { model: Model }) {
  const item = store.snapshot?.downloads.find(({ name }) => name === model.name);
  if (item?.status === "running") return <Progress item={item} />;
  if (!model.downloadable)
    return <p class="note warn">Its weights are not here, and no address to get them is known.</p>;
  return (
    <p class="get">
      <button type="button" class="main" onClick={() => store.try(downloadModel(model.name))}>
        Download {model.size ? megabytes(model.size) : "it"}
      </button>
      <span class="note">Licence of the weights: {model.license}</span>
    </p>
  );
}

function Progress({ item }: { item: Download }) {
  const part = item.total ? item.done / item.total : 0;
  return (
    <div class="get">
      <Bar part={part} label={`Download of ${item.name}`} />
      <span class="note">
        {megabytes(item.done)}
        {item.total ? ` of ${megabytes(item.total)}` : ""}
      </span>
      <button type="button" onClick={() => store.try(cancelDownload(item.name))}>
        Cancel
      </button>
    </div>
  );
}
