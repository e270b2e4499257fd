// SPDX-License-Identifier: GPL-3.0-or-later
// What the server says; see lars_plugin/studio/ledger.py and models.py.

export interface Settings {
  model: string;
  preset: string;
  channels: string;
  redistribute: boolean;
  residual: boolean;
}

export type Status = "waiting" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  name: string;
  folder: string;
  settings: Settings;
  status: Status;
  stage: "" | "reading" | "loading" | "separating";
  progress: number;
  left: number | null;
  error: string;
  warnings: string[];
  rate: number;
  channels: number;
  frames: number;
  stems: string[];
  peaks: Record<string, number>;
  elapsed: number;
  hits: "none" | "waiting" | "running" | "done" | "failed";
  hit_error: string;
}

export interface Preset {
  name: string;
  for: string;
  cost: number | null;
}

export interface Model {
  name: string;
  description: string;
  stems: string[];
  license: string;
  here: boolean;
  size: number;
  downloadable: boolean;
  presets: Preset[];
}

export interface Download {
  name: string;
  status: "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  error: string;
}

export interface Snapshot {
  version: string;
  folder: string;
  extensions: string[];
  most_bytes: number;
  jobs: Job[];
  models: Model[];
  downloads: Download[];
}

export interface Hit {
  time: number;
  stem: string;
  articulation: string;
  velocity: number;
  level: number;
  confidence: number;
}

export interface Levels {
  lanes: string[];
  channels: number;
  matrix: number[][];
}

export const MIXTURE = "mixture";

/** What can be heard of a job now, the mixture first. */
export function lanesOf(job: Job): string[] {
  return job.frames ? [MIXTURE, ...job.stems] : [];
}
