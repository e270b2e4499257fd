// SPDX-License-Identifier: GPL-3.0-or-later
// Faders, and the graph of audio nodes that they move: a strip per lane, two buses, a master.
import { MIXTURE, type Levels } from "../types";

export interface Fader {
  gain: number; // dB
  pan: number; // -1 to 1
  mute: boolean;
  solo: boolean;
}

export const LOWEST = -60;
const SMOOTH = 0.01; // seconds

export const factor = (gain: number) => (gain <= LOWEST ? 0 : 10 ** (gain / 20));

export function heard(faders: Map<string, Fader>, lane: string): boolean {
  const fader = faders.get(lane);
  const solo = [...faders.values()].some((other) => other.solo);
  return !!fader && !fader.mute && (!solo || fader.solo);
}

/** How the channels of a stem go to left and right, as StereoPannerNode does it. */
export function panned(pan: number, channels: number): [number[], number[]] {
  const angle = ((pan <= 0 ? pan + 1 : pan) * Math.PI) / 2;
  const [near, far] = [Math.cos(angle), Math.sin(angle)];
  const rows: [number[], number[]] = pan <= 0 ? [[1, near], [0, far]] : [[near, 0], [far, 1]];
  if (channels === 2) return rows;
  return [[rows[0][0]! + rows[0][1]!], [rows[1][0]! + rows[1][1]!]];
}

/** The factor that makes the original as loud as the stems under these faders. */
export function matching(levels: Levels, faders: Map<string, Fader>): number {
  const { channels, matrix } = levels;
  const sides: [number[], number[]] = [[], []];
  const original: [number[], number[]] = [[], []];
  for (const lane of levels.lanes) {
    const fader = faders.get(lane);
    const gain = fader && heard(faders, lane) ? factor(fader.gain) : 0;
    const rows = panned(fader?.pan ?? 0, channels);
    const middle = panned(0, channels);
    for (const side of [0, 1] as const)
      for (let channel = 0; channel < channels; channel++) {
        sides[side].push(gain * rows[side][channel]!);
        original[side].push(lane === MIXTURE ? middle[side][channel]! : 0);
      }
  }
  const power = (weights: number[]) =>
    weights.reduce(
      (sum, a, i) => sum + weights.reduce((inner, b, j) => inner + a * b * matrix[i]![j]!, 0), 0,
    );
  const stems = power(sides[0]) + power(sides[1]);
  const mixture = power(original[0]) + power(original[1]);
  if (!(stems > 0) || !(mixture > 0)) return 1;
  return Math.min(8, Math.max(1 / 64, Math.sqrt(stems / mixture)));
}

interface Strip {
  input: GainNode;
  pan: StereoPannerNode;
  meter: AnalyserNode;
}

/** The nodes; in an AudioContext to hear, or in an OfflineAudioContext to check. */
export class Mixer {
  private strips = new Map<string, Strip>();
  private stems: GainNode;
  private original: GainNode;
  private master: GainNode;
  private meter: AnalyserNode;
  private buffer = new Float32Array(1024);

  constructor(readonly context: BaseAudioContext, readonly lanes: string[]) {
    this.master = context.createGain();
    this.meter = this.analyser();
    this.master.connect(context.destination);
    this.master.connect(this.meter);
    this.stems = context.createGain();
    this.original = context.createGain();
    this.stems.connect(this.master);
    this.original.connect(this.master);
    for (const lane of lanes) {
      const input = context.createGain();
      const pan = context.createStereoPanner();
      // Mono goes to both sides first, so that the middle is as loud as it was.
      pan.channelCount = 2;
      pan.channelCountMode = "explicit";
      const meter = this.analyser();
      input.connect(pan);
      pan.connect(lane === MIXTURE ? this.original : this.stems);
      pan.connect(meter);
      this.strips.set(lane, { input, pan, meter });
    }
  }

  private analyser(): AnalyserNode {
    const node = this.context.createAnalyser();
    node.fftSize = 1024;
    return node;
  }

  input(lane: string): AudioNode {
    return this.strips.get(lane)!.input;
  }

  /** Move everything to where the faders are. */
  set(
    faders: Map<string, Fader>, original: boolean, match: number, volume: number, now = false,
  ): void {
    const to = (param: AudioParam, value: number) => {
      if (now) param.value = value;
      else param.setTargetAtTime(value, this.context.currentTime, SMOOTH);
    };
    for (const [lane, strip] of this.strips) {
      const fader = faders.get(lane);
      const gain = lane === MIXTURE ? 1 : heard(faders, lane) ? factor(fader?.gain ?? 0) : 0;
      to(strip.input.gain, gain);
      to(strip.pan.pan, lane === MIXTURE ? 0 : (fader?.pan ?? 0));
    }
    to(this.stems.gain, original ? 0 : 1);
    to(this.original.gain, original ? match : 0);
    to(this.master.gain, factor(volume));
  }

  /** The largest sample just now, of a lane or of everything, as a factor. */
  peak(lane?: string): number {
    const meter = lane === undefined ? this.meter : this.strips.get(lane)?.meter;
    if (!meter) return 0;
    meter.getFloatTimeDomainData(this.buffer);
    let most = 0;
    for (const value of this.buffer) most = Math.max(most, Math.abs(value));
    return most;
  }
}
