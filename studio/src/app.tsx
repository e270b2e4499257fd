// SPDX-License-Identifier: GPL-3.0-or-later
import { useEffect, useState } from "preact/hooks";
import { AddFiles, DropTarget } from "./parts/drop";
import { Help } from "./parts/help";
import { Player } from "./parts/player";
import { Queue } from "./parts/queue";
import { SettingsPanel } from "./parts/settings";
import { remember, remembered, store, useStore } from "./store";
import type { Job } from "./types";
import { statusText } from "./words";

const THEMES = ["auto", "dark", "light"] as const;
type Theme = (typeof THEMES)[number];
const SYSTEM = window.matchMedia("(prefers-color-scheme: light)");

export function App() {
  useStore();
  const [theme, setTheme] = useState<Theme>(remembered<Theme>("theme") ?? "auto");
  const [light, setLight] = useState(SYSTEM.matches);
  useEffect(() => {
    const listen = () => setLight(SYSTEM.matches);
    SYSTEM.addEventListener("change", listen);
    return () => SYSTEM.removeEventListener("change", listen);
  }, []);
  // Here rather than in an effect: the lanes are drawn in its colours by the same render.
  document.documentElement.dataset.theme = theme !== "auto" ? theme : light ? "light" : "dark";
  useEffect(() => remember("theme", theme), [theme]);
  const job = store.job;
  const playable = job && job.frames > 0;
  return (
    <DropTarget>
      <header class="top">
        <h1>
          LARS <span>studio</span>
        </h1>
        {!store.connected && store.snapshot && (
          <p class="offline" role="status">
            The studio does not answer. This page goes on when <code>lars studio</code> runs again.
          </p>
        )}
        <label class="theme">
          <span class="hidden">Colours</span>
          <select
            value={theme}
            onChange={(event) => setTheme(event.currentTarget.value as Theme)}
          >
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {{ auto: "As the system", dark: "Dark", light: "Light" }[name]}
              </option>
            ))}
          </select>
        </label>
        <Help />
      </header>
      <main class={store.snapshot?.jobs.length ? "busy" : "empty"}>
        <div class="side">
          <AddFiles />
          <SettingsPanel />
          <Queue />
        </div>
        <div class="stage">
          {playable ? (
            <Player key={`${job.id} ${job.stems.join()} ${job.frames}`} job={job} />
          ) : (
            <Welcome text={job ? `${job.name}: ${statusText(job)}` : ""} other={store.playable} />
          )}
        </div>
      </main>
      <div class="messages" role="alert">
        {store.messages.map(({ key, text }) => (
          <p key={key}>
            {text}
            <button type="button" aria-label="Close this message" onClick={() => store.unsay(key)}>
              ×
            </button>
          </p>
        ))}
      </div>
    </DropTarget>
  );
}

function Welcome({ text, other }: { text: string; other: Job | undefined }) {
  return (
    <section class="card welcome" aria-label="Player">
      <div class="bars" aria-hidden="true">
        {["kick", "snare", "toms", "hihat", "ride", "crash"].map((lane) => (
          <i key={lane} data-lane={lane} />
        ))}
      </div>
      <p>{text || "Drop a recording of drums here. Its drums come apart, and nothing leaves this machine."}</p>
      {other && (
        <button type="button" onClick={() => store.select(other.id)}>
          Listen to {other.name} meanwhile
        </button>
      )}
    </section>
  );
}
