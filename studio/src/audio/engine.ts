// SPDX-License-Identifier: GPL-3.0-or-later
// The transport: one AudioContext, pieces of all lanes scheduled ahead of the clock.
import { levels } from "../api";
import { lanesOf, type Job, type Levels } from "../types";
import { BLOCK, Blocks } from "./blocks";
import { Mixer, matching, type Fader } from "./mixer";
import { Run, pieceAt, type Loop } from "./schedule";

const AHEAD = 4; // seconds on the clock beyond now
const BEGIN = 0.04; // seconds between the first piece and its sound
const LATE = 0.01; // seconds before its sound in which a piece can still be placed
const TICK = 100; // milliseconds

/** Where a recording was when its lanes changed, as when its stems are ready. */
const left = { id: "", position: 0, playing: false, at: 0 };
const SAME = 1000; // milliseconds in which one engine follows another

export class Engine {
  playing = false;
  original = false;
  loop: Loop | null = null;
  volume = 0;
  faders = new Map<string, Fader>();
  error = "";
  levels: Levels | null = null;
  private context: AudioContext | null = null;
  private mixer: Mixer | null = null;
  private blocks: Blocks;
  private run: Run | null = null;
  private rest = 0; // the position while nothing plays
  private turn = 0; // tells a run from those before it
  private listeners = new Set<() => void>();

  constructor(readonly job: Job) {
    this.blocks = new Blocks(job.id, lanesOf(job), job.channels, job.frames);
    for (const stem of job.stems)
      this.faders.set(stem, { gain: 0, pan: 0, mute: false, solo: false });
    if (!job.stems.length) this.original = true;
    this.blocks.get(0).catch(() => undefined); // so that play is heard at once
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }

  get frames(): number {
    return this.job.frames;
  }

  /** Bytes of samples that the page keeps. */
  get bytes(): number {
    return this.blocks.bytes;
  }

  get time(): number {
    return this.context?.currentTime ?? 0;
  }

  async loadLevels(): Promise<void> {
    this.levels = await levels(this.job.id);
    this.apply();
  }

  /** How much the original is turned up or down to be as loud as the stems. */
  get match(): number {
    return this.levels ? matching(this.levels, this.faders) : 1;
  }

  get position(): number {
    if (!this.run || !this.context) return this.rest;
    const clock = (this.context.currentTime - this.context.outputLatency) * this.job.rate;
    return Math.min(this.run.position(Math.max(clock, this.run.zero)), this.frames);
  }

  apply(): void {
    this.mixer?.set(this.faders, this.original, this.match, this.volume);
    this.changed();
  }

  change(lane: string, change: Partial<Fader>): void {
    const fader = this.faders.get(lane);
    if (!fader) return;
    this.faders.set(lane, { ...fader, ...change });
    this.apply();
  }

  setOriginal(original: boolean): void {
    this.original = original || !this.job.stems.length;
    this.apply();
  }

  setVolume(volume: number): void {
    this.volume = volume;
    this.apply();
  }

  setLoop(loop: Loop | null): void {
    this.loop = loop && loop.end - loop.start >= 64 ? loop : null;
    if (this.playing) this.seek(this.position);
    this.changed();
  }

  async toggle(): Promise<void> {
    if (this.playing) this.pause();
    else await this.play();
  }

  async play(): Promise<void> {
    this.error = "";
    if (!this.context) {
      this.context = new AudioContext({ sampleRate: this.job.rate, latencyHint: "interactive" });
      this.mixer = new Mixer(this.context, this.blocks.lanes);
      this.mixer.set(this.faders, this.original, this.match, this.volume, true);
    }
    this.playing = true;
    this.changed();
    await this.context.resume();
    if (this.paused()) return; // paused while the sound device woke
    this.begin(this.rest >= this.frames ? 0 : this.rest);
  }

  private paused(): boolean {
    return !this.playing;
  }

  pause(): void {
    this.rest = this.position;
    this.halt();
    this.playing = false;
    this.changed();
  }

  seek(frame: number): void {
    const to = Math.round(Math.min(Math.max(0, frame), this.frames));
    this.rest = to;
    if (this.playing) this.begin(Math.min(to, this.frames - 1));
    this.changed();
  }

  private halt(): void {
    this.turn++;
    this.run?.end();
    this.run = null;
  }

  private begin(position: number): void {
    const from = this.loop && position >= this.loop.end ? this.loop.start : Math.round(position);
    this.halt();
    this.rest = from;
    void this.feed(from, this.turn).catch((error: unknown) => {
      this.error = error instanceof Error ? error.message : String(error);
      this.pause();
    });
  }

  /** Keep the clock fed with pieces until this turn is over. */
  private async feed(from: number, turn: number): Promise<void> {
    const { context, mixer } = this;
    if (!context || !mixer) return;
    const rate = this.job.rate;
    await this.blocks.get(Math.floor(from / BLOCK));
    if (turn !== this.turn) return;
    const run = new Run(mixer, Math.ceil((context.currentTime + BEGIN) * rate), rate);
    this.run = run;
    let [next, at] = [from, 0];
    while (next >= 0) {
      const piece = pieceAt(next, this.frames, this.loop);
      const block = await this.blocks.get(Math.floor(next / BLOCK));
      if (turn !== this.turn) return;
      if (at > 0 && run.zero + at < (context.currentTime + LATE) * rate) {
        this.begin(next); // it came too late: a gap, but never lanes that run apart
        return;
      }
      run.place(at, piece, block);
      at += piece.length;
      next = piece.next;
      while (run.zero + at > (context.currentTime + AHEAD) * rate) {
        if (next >= 0) this.blocks.get(Math.floor(next / BLOCK)).catch(() => undefined);
        await pause(TICK);
        if (turn !== this.turn) return;
      }
    }
    while (context.currentTime * rate < run.zero + at) {
      await pause(TICK);
      if (turn !== this.turn) return;
    }
    this.halt();
    this.rest = this.frames;
    this.playing = false;
    this.changed();
  }

  peak(lane?: string): number {
    return this.playing && this.mixer ? this.mixer.peak(lane) : 0;
  }

  /** What would be heard of some frames, by the same nodes and pieces, without a sound. */
  async render(from: number, length: number): Promise<Float32Array[]> {
    const rate = this.job.rate;
    const context = new OfflineAudioContext(2, length, rate);
    const mixer = new Mixer(context, this.blocks.lanes);
    mixer.set(this.faders, this.original, this.match, this.volume, true);
    const run = new Run(mixer, 0, rate);
    let [next, at] = [from, 0];
    while (next >= 0 && at < length) {
      const piece = pieceAt(next, this.frames, this.loop);
      run.place(at, piece, await this.blocks.get(Math.floor(next / BLOCK)));
      at += piece.length;
      next = piece.next;
    }
    const buffer = await context.startRendering();
    return [buffer.getChannelData(0), buffer.getChannelData(1)];
  }

  /** Go on where the last engine of this recording has just stopped. */
  follow(): void {
    if (left.id !== this.job.id || performance.now() - left.at > SAME) return;
    this.seek(left.position);
    if (left.playing) void this.play();
  }

  close(): void {
    Object.assign(left, {
      id: this.job.id, position: this.position, playing: this.playing, at: performance.now(),
    });
    this.halt();
    this.playing = false;
    void this.context?.close();
    this.context = null;
    this.mixer = null;
  }
}

const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds);
  });
