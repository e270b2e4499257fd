// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks of samples from the server: a bounded number of them is kept.
import { samples } from "../api";

/** Frames per block: a second or so at usual rates. */
export const BLOCK = 1 << 16;

/** What blocks may take: 32 MiB, of which the newest half is what is being played. */
export const MOST_BYTES = 32 << 20;

/** Samples of one block: by lane, by channel. */
export type Block = Float32Array<ArrayBuffer>[][];

export class Blocks {
  private kept = new Map<number, Promise<Block>>();
  private blockBytes: number;

  constructor(
    private readonly id: string,
    readonly lanes: string[],
    readonly channels: number,
    readonly frames: number,
  ) {
    this.blockBytes = BLOCK * lanes.length * channels * 4;
  }

  /** How many blocks are kept: at least three, for the one that plays and the next. */
  get most(): number {
    return Math.max(3, Math.floor(MOST_BYTES / this.blockBytes));
  }

  get bytes(): number {
    return this.kept.size * this.blockBytes;
  }

  get(index: number): Promise<Block> {
    const known = this.kept.get(index);
    if (known) {
      this.kept.delete(index); // to the end: the first are thrown away first
      this.kept.set(index, known);
      return known;
    }
    const wanted = this.fetch(index);
    this.kept.set(index, wanted);
    wanted.catch(() => this.kept.delete(index));
    for (const old of this.kept.keys()) {
      if (this.kept.size <= this.most) break;
      this.kept.delete(old);
    }
    return wanted;
  }

  private async fetch(index: number): Promise<Block> {
    const start = index * BLOCK;
    const length = Math.min(BLOCK, this.frames - start);
    const all = await samples(this.id, this.lanes, start, length);
    return this.lanes.map((_, lane) =>
      Array.from({ length: this.channels }, (_, channel) => {
        const first = (lane * this.channels + channel) * length;
        return all.subarray(first, first + length) as Float32Array<ArrayBuffer>;
      }),
    );
  }
}
