// SPDX-License-Identifier: GPL-3.0-or-later
// The state of the page: what the server tells, uploads on their way, and messages.
import { useEffect, useState } from "preact/hooks";
import { upload } from "./api";
import type { Download, Job, Model, Settings, Snapshot } from "./types";

export interface Upload {
  key: number;
  name: string;
  progress: number;
  stop: AbortController;
}

const SETTINGS: Settings = {
  model: "lars-mini", preset: "", channels: "", redistribute: false, residual: false,
};
const UPLOADS_AT_ONCE = 2;
const MESSAGE_SECONDS = 12;

class Store {
  snapshot: Snapshot | null = null;
  connected = false;
  selected = "";
  uploads: Upload[] = [];
  messages: { key: number; text: string }[] = [];
  settings: Settings = { ...SETTINGS, ...remembered("settings") };
  private listeners = new Set<() => void>();
  private queue: { file: File; settings: Settings }[] = [];
  private keys = 0;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  get job(): Job | undefined {
    return this.snapshot?.jobs.find((job) => job.id === this.selected);
  }

  /** The newest recording that can be played. */
  get playable(): Job | undefined {
    return this.snapshot?.jobs.findLast((job) => job.frames > 0);
  }

  connect(): void {
    const source = new EventSource("/api/events");
    const on = <T>(kind: string, take: (data: T) => void) =>
      source.addEventListener(kind, (event) => {
        take(JSON.parse((event as MessageEvent<string>).data) as T);
        this.changed();
      });
    on<Snapshot>("snapshot", (data) => {
      this.snapshot = data;
      this.connected = true;
      if (!this.job) this.select(remembered<{ id: string }>("selected")?.id ?? "");
      if (!this.job) this.select(data.jobs.at(-1)?.id ?? "");
      if (!data.models.some((model) => model.name === this.settings.model))
        this.settings = { ...SETTINGS };
    });
    on<Job>("job", (job) => this.put(job));
    on<{ id: string }>("removed", ({ id }) => {
      if (!this.snapshot) return;
      const jobs = this.snapshot.jobs;
      const at = jobs.findIndex((job) => job.id === id);
      this.snapshot.jobs = jobs.filter((job) => job.id !== id);
      if (this.selected === id)
        this.select((this.snapshot.jobs[at] ?? this.snapshot.jobs.at(-1))?.id ?? "");
    });
    on<Model[]>("models", (models) => {
      if (this.snapshot) this.snapshot.models = models;
    });
    on<Download>("download", (item) => {
      if (!this.snapshot) return;
      const others = this.snapshot.downloads.filter((other) => other.name !== item.name);
      this.snapshot.downloads = [...others, item];
      if (item.status === "failed") this.say(item.error);
    });
    source.onerror = () => {
      this.connected = false;
      this.changed();
      // The browser tries again by itself, unless the server has refused.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), 2000);
    };
  }

  private put(job: Job): void {
    if (!this.snapshot) return;
    const jobs = this.snapshot.jobs;
    const at = jobs.findIndex((other) => other.id === job.id);
    this.snapshot.jobs = at < 0 ? [...jobs, job] : jobs.map((old, i) => (i === at ? job : old));
    const shown = this.job;
    // A new one takes the place of what has come to nothing, not of what plays or will soon.
    const over = shown?.status === "failed" || shown?.status === "cancelled";
    if (!shown || (at < 0 && over)) this.select(job.id);
  }

  select(id: string): void {
    this.selected = id;
    remember("selected", { id });
    this.changed();
  }

  change(settings: Partial<Settings>): void {
    this.settings = { ...this.settings, ...settings };
    remember("settings", this.settings);
    this.changed();
  }

  say(text: string): void {
    const message = { key: ++this.keys, text };
    this.messages = [...this.messages.slice(-4), message];
    setTimeout(() => this.unsay(message.key), MESSAGE_SECONDS * 1000);
    this.changed();
  }

  unsay(key: number): void {
    this.messages = this.messages.filter((message) => message.key !== key);
    this.changed();
  }

  /** Do something on the server, and say why it failed. */
  try(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") return;
      this.say(error instanceof Error ? error.message : String(error));
    });
  }

  add(files: File[]): void {
    const most = this.snapshot?.most_bytes ?? 0;
    for (const file of files) {
      if (most && file.size > most)
        this.say(
          `${file.name} is larger than ${most >> 20} MiB; cut it, or run \`lars separate\`,` +
            " which has no limit",
        );
      else this.queue.push({ file, settings: this.settings });
    }
    this.next();
  }

  private next(): void {
    while (this.uploads.length < UPLOADS_AT_ONCE) {
      const item = this.queue.shift();
      if (!item) break;
      const { file, settings } = item;
      const entry: Upload = {
        key: ++this.keys, name: file.name, progress: 0, stop: new AbortController(),
      };
      this.uploads = [...this.uploads, entry];
      const progress = (part: number) => {
        entry.progress = part;
        this.changed();
      };
      upload(file, settings, progress, entry.stop.signal)
        .catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          if (why !== "cancelled") this.say(why.includes(file.name) ? why : `${file.name}: ${why}`);
        })
        .finally(() => {
          this.uploads = this.uploads.filter((other) => other !== entry);
          this.next();
        });
    }
    this.changed();
  }
}

export function remembered<T>(name: string): T | undefined {
  try {
    return JSON.parse(localStorage.getItem(`lars-${name}`) ?? "null") as T | undefined;
  } catch {
    return undefined;
  }
}

export function remember(name: string, value: unknown): void {
  try {
    localStorage.setItem(`lars-${name}`, JSON.stringify(value));
  } catch {
    // Private windows may have no storage: the page works all the same.
  }
}

export const store = new Store();

/** Draw again when the store has changed. */
export function useStore(): Store {
  const [, redraw] = useState(0);
  useEffect(() => store.subscribe(() => redraw((count) => count + 1)), []);
  return store;
}
