// SPDX-License-Identifier: GPL-3.0-or-later
import type { Job } from "./types";

const NAMES: Record<string, string> = {
  mixture: "Original", kick: "Kick", snare: "Snare", toms: "Toms", hihat: "Hi-hat", ride: "Ride",
  crash: "Crash", cymbals: "Cymbals", residual: "Residual", other: "Other", drums: "Drums",
  bass: "Bass", vocals: "Vocals", guitar: "Guitar", piano: "Piano",
};

export const laneName = (lane: string) =>
  NAMES[lane] ?? lane.charAt(0).toUpperCase() + lane.slice(1);

/** 75.2 -> "1:15.2" */
export function clock(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

/** About how long. */
export function span(seconds: number): string {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export const megabytes = (bytes: number) =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(bytes && 1, Math.round(bytes / 1e6))} MB`;

export const decibels = (value: number) =>
  value <= -60 ? "−∞" : value.toFixed(1).replace("-", "−");

const STAGES = { "": "", reading: "Reading", loading: "Loading the model", separating: "Separating" };

export function statusText(job: Job): string {
  switch (job.status) {
    case "waiting":
      return "Waiting";
    case "running": {
      const left = job.left === null ? "" : `, ${span(job.left)} left`;
      return job.stage === "loading"
        ? STAGES.loading
        : `${STAGES[job.stage]} ${Math.floor(job.progress * 100)} %${left}`;
    }
    case "done":
      return job.hits === "waiting" || job.hits === "running"
        ? "Ready; finding hits"
        : `Ready, took ${span(job.elapsed)}`;
    case "failed":
      return job.error;
    case "cancelled":
      return "Cancelled";
  }
}

export const presetName = (name: string) =>
  name ? name.charAt(0).toUpperCase() + name.slice(1) : "Usual";

/** What a model costs: "12 s per minute of music". */
export function cost(ratio: number | null): string {
  return ratio === null ? "" : `${span(ratio * 60)} per minute`;
}
