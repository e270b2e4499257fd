// SPDX-License-Identifier: GPL-3.0-or-later
// Waveforms, spectrograms, hits: drawn from what the server has worked out.
import type { Overview } from "../api";
import type { Hit } from "../types";
import type { View } from "./view";

/** A canvas at the screen's own resolution; its size in CSS pixels. */
export function prepared(canvas: HTMLCanvasElement): {
  pen: CanvasRenderingContext2D; width: number; height: number; scale: number;
} {
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const pen = canvas.getContext("2d")!;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height, scale };
}

/** Lowest and highest sample per column, from the overview; null: too coarse for this view. */
export function columnsOf(overview: Overview, view: View, columns: number): Int16Array | null {
  const { bucket, pairs } = overview;
  const perColumn = (view.end - view.start) / columns / bucket;
  if (perColumn < 1) return null;
  const out = new Int16Array(columns * 2);
  const count = pairs.length / 2;
  for (let column = 0; column < columns; column++) {
    const first = Math.floor(view.start / bucket + column * perColumn);
    const last = Math.min(count, Math.ceil(view.start / bucket + (column + 1) * perColumn));
    let [low, high] = [0, 0];
    for (let index = first; index < last; index++) {
      low = Math.min(low, pairs[index * 2]!);
      high = Math.max(high, pairs[index * 2 + 1]!);
    }
    out[column * 2] = low;
    out[column * 2 + 1] = high;
  }
  return out;
}

export function drawWave(
  pen: CanvasRenderingContext2D, width: number, height: number, pairs: Int16Array, colour: string,
  gain: number,
): void {
  const columns = pairs.length / 2;
  const middle = height / 2;
  const at = (value: number) => middle - Math.max(-1, Math.min(1, (value / 32767) * gain)) * middle;
  pen.fillStyle = colour;
  pen.beginPath();
  for (let column = 0; column < columns; column++) {
    const x = (column * width) / columns;
    const top = at(pairs[column * 2 + 1]!);
    pen.rect(x, top, width / columns + 0.3, Math.max(1, at(pairs[column * 2]!) - top));
  }
  pen.fill();
}

export function drawHits(
  pen: CanvasRenderingContext2D, width: number, height: number, hits: Hit[], view: View,
  rate: number, colour: string,
): void {
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  for (const hit of hits) {
    const x = ((hit.time * rate - view.start) / (view.end - view.start)) * width;
    if (x < -4 || x > width + 4) continue;
    // From the bottom: as high as it is loud.
    const top = height - 2 - (hit.velocity / 127) * (height - 8);
    pen.globalAlpha = 0.55;
    pen.fillRect(x - 0.5, top, 1, height - top);
    pen.globalAlpha = 1;
    mark(pen, x, top, hit);
  }
}

/** A mark's form says how the drum was struck: first articulation round, then others. */
function mark(pen: CanvasRenderingContext2D, x: number, y: number, hit: Hit): void {
  pen.beginPath();
  if (["open", "bell", "sidestick", "high", "crash2"].includes(hit.articulation)) {
    pen.moveTo(x, y - 4);
    pen.lineTo(x + 4, y);
    pen.lineTo(x, y + 4);
    pen.lineTo(x - 4, y);
  } else if (["pedal", "low"].includes(hit.articulation)) pen.rect(x - 2.5, y - 2.5, 5, 5);
  else pen.arc(x, y, 2.8, 0, 2 * Math.PI);
  pen.fill();
}

/** Levels (rows from low to high) as a picture in shades of a colour. */
export function drawSpectrogram(
  canvas: HTMLCanvasElement, data: Uint8Array, columns: number, rows: number, colour: string,
): void {
  const [red, green, blue] = rgb(colour);
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const level = data[row * columns + column]! / 255;
      const at = ((rows - 1 - row) * columns + column) * 4;
      const white = Math.max(0, level - 0.75) * 2;
      image.data[at] = red + (255 - red) * white;
      image.data[at + 1] = green + (255 - green) * white;
      image.data[at + 2] = blue + (255 - blue) * white;
      image.data[at + 3] = 255 * Math.max(0, (level - 0.15) / 0.85) ** 1.3;
    }
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

function rgb(colour: string): [number, number, number] {
  const number = Number.parseInt(colour.replace("#", ""), 16);
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

/** The colour of a lane as the style sheet has it. */
export function laneColour(element: Element): string {
  return getComputedStyle(element).getPropertyValue("--lane").trim() || "#8a94a3";
}
