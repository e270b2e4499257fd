// SPDX-License-Identifier: GPL-3.0-or-later
// Which frames are heard when. All lanes of a piece begin at the same frame of the clock.
import { BLOCK, type Block } from "./blocks";
import type { Mixer } from "./mixer";

export interface Loop {
  start: number;
  end: number; // frames
}

/** Frames of the recording that follow each other, up to the end of a block, loop or file. */
export interface Piece {
  start: number;
  length: number;
  next: number; // where it goes on, or -1 at the end
}

export function pieceAt(position: number, frames: number, loop: Loop | null): Piece {
  const inside = loop !== null && position < loop.end;
  const stop = inside ? Math.min(loop.end, frames) : frames;
  const end = Math.min((Math.floor(position / BLOCK) + 1) * BLOCK, stop);
  const goesOn = end < stop ? end : inside ? loop.start : -1;
  return { start: position, length: end - position, next: goesOn };
}

/** One run of the transport, from a press of play to the next stop or jump. */
export class Run {
  private gates = new Map<string, GainNode>();
  private sources = new Set<AudioBufferSourceNode>();
  private placed: { at: number; piece: Piece }[] = [];

  /** @param zero frame of the context's clock at which the run begins. */
  constructor(
    private readonly mixer: Mixer,
    readonly zero: number,
    private readonly rate: number,
  ) {
    for (const lane of mixer.lanes) {
      const gate = mixer.context.createGain();
      gate.connect(mixer.input(lane));
      this.gates.set(lane, gate);
    }
  }

  /** Put a piece on the clock, `at` frames after the beginning of the run. */
  place(at: number, piece: Piece, block: Block): void {
    const first = piece.start % BLOCK;
    this.mixer.lanes.forEach((lane, index) => {
      const channels = block[index]!;
      const buffer = new AudioBuffer({
        length: piece.length, numberOfChannels: channels.length, sampleRate: this.rate,
      });
      channels.forEach((wave, channel) =>
        buffer.copyToChannel(wave.subarray(first, first + piece.length), channel),
      );
      const source = this.mixer.context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.gates.get(lane)!);
      source.start((this.zero + at) / this.rate);
      this.sources.add(source);
      source.onended = () => {
        source.disconnect();
        this.sources.delete(source);
      };
    });
    this.placed = [...this.placed.slice(-32), { at, piece }];
  }

  /** The frame of the recording that is heard at a frame of the context's clock. */
  position(clock: number): number {
    const since = clock - this.zero;
    let found = this.placed[0]?.piece.start ?? 0;
    for (const { at, piece } of this.placed)
      if (at <= since) found = piece.start + Math.min(since - at, piece.length);
    return found;
  }

  /** Fade out within a few milliseconds and let go. */
  end(): void {
    const now = this.mixer.context.currentTime;
    for (const gate of this.gates.values()) gate.gain.setTargetAtTime(0, now, 0.003);
    for (const source of this.sources) source.stop(now + 0.03);
    setTimeout(() => {
      for (const gate of this.gates.values()) gate.disconnect();
    }, 200);
  }
}
