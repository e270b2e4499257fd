// SPDX-License-Identifier: GPL-3.0-or-later
// Which part of the recording is shown.

export interface View {
  start: number;
  end: number; // frames, may be fractions
}

const CLOSEST = 64; // frames

export function zoomed(view: View, by: number, around: number, frames: number): View {
  const size = Math.min(frames, Math.max(CLOSEST, (view.end - view.start) / by));
  const part = (around - view.start) / Math.max(1, view.end - view.start);
  return moved({ start: around - part * size, end: around + (1 - part) * size }, 0, frames);
}

export function moved(view: View, by: number, frames: number): View {
  const size = Math.min(view.end - view.start, frames);
  const start = Math.min(Math.max(0, view.start + by), frames - size);
  return { start, end: start + size };
}

/** Steps of a ruler, in seconds, for about so many of them. */
export function step(seconds: number, count: number): number {
  const wanted = seconds / Math.max(1, count);
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120];
  return steps.find((candidate) => candidate >= wanted) ?? 300;
}
