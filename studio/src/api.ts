// SPDX-License-Identifier: GPL-3.0-or-later
// Requests. Errors are the package's one-line messages.
import type { Hit, Levels, Settings } from "./types";

export class ServerError extends Error {}

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError("the studio does not answer: is `lars studio` still running?");
  }
  if (!response.ok) throw new ServerError(messageOf(await response.text(), response.status));
  return response;
}

function messageOf(text: string, status: number): string {
  try {
    const data: unknown = JSON.parse(text);
    if (data && typeof data === "object" && "error" in data) return String(data.error);
  } catch {
    // Not ours: a proxy, or a page of the server's framework.
  }
  return text.trim().split("\n")[0] || `the studio answers with status ${status}`;
}

const post = (path: string, body?: unknown) =>
  ask(path, { method: "POST", body: body === undefined ? null : JSON.stringify(body) });

export const cancelJob = (id: string) => post(`/api/jobs/${id}/cancel`);
export const retryJob = (id: string, settings?: Settings) =>
  post(`/api/jobs/${id}/retry`, settings ? { settings } : {});
export const removeJob = (id: string, stems: boolean) =>
  ask(`/api/jobs/${id}${stems ? "?stems=1" : ""}`, { method: "DELETE" });
export const downloadModel = (name: string) =>
  post(`/api/models/${encodeURIComponent(name)}/download`);
export const cancelDownload = (name: string) =>
  post(`/api/models/${encodeURIComponent(name)}/cancel`);
export const measure = (name: string, preset: string) =>
  post(`/api/models/${encodeURIComponent(name)}/measure?preset=${preset}`);

export interface Overview {
  bucket: number;
  pairs: Int16Array;
}

export async function overview(id: string, lane: string): Promise<Overview> {
  const response = await ask(`/api/jobs/${id}/overview/${lane}`);
  const bucket = Number(response.headers.get("X-Bucket"));
  return { bucket, pairs: new Int16Array(await response.arrayBuffer()) };
}

export async function peaks(
  id: string, lane: string, start: number, frames: number, columns: number, signal: AbortSignal,
): Promise<Int16Array> {
  const query = `start=${start}&frames=${frames}&columns=${columns}`;
  const response = await ask(`/api/jobs/${id}/peaks/${lane}?${query}`, { signal });
  return new Int16Array(await response.arrayBuffer());
}

export async function spectrogram(
  id: string, lane: string, start: number, frames: number, columns: number, rows: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const query = `start=${start}&frames=${frames}&columns=${columns}&rows=${rows}`;
  const response = await ask(`/api/jobs/${id}/spectrogram/${lane}?${query}`, { signal });
  return new Uint8Array(await response.arrayBuffer());
}

export async function samples(
  id: string, lanes: string[], start: number, frames: number,
): Promise<Float32Array> {
  const query = `lanes=${lanes.join(",")}&start=${start}&frames=${frames}`;
  const response = await ask(`/api/jobs/${id}/samples?${query}`);
  return new Float32Array(await response.arrayBuffer());
}

export async function hits(id: string): Promise<Hit[]> {
  return (await (await ask(`/api/jobs/${id}/hits`)).json()) as Hit[];
}

export async function levels(id: string): Promise<Levels> {
  return (await (await ask(`/api/jobs/${id}/levels`)).json()) as Levels;
}

/** Send a file; progress is 0 to 1. */
export function upload(
  file: File, settings: Settings, progress: (part: number) => void, signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ name: file.name, settings: JSON.stringify(settings) });
    request.open("POST", `/api/upload?${query.toString()}`);
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      if (request.status === 201) resolve();
      else reject(new ServerError(messageOf(request.responseText, request.status)));
    };
    request.onerror = () => reject(new ServerError("the upload broke off; drop the file again"));
    request.onabort = () => reject(new ServerError("cancelled"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** Save what an address gives, straight to the disk: it may be larger than memory. */
export function saveLarge(path: string): void {
  const link = document.createElement("a");
  link.href = path;
  link.download = "";
  link.click();
}

/** Save something small, or throw the server's message. */
export async function save(path: string): Promise<void> {
  const response = await ask(path);
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const name = /filename\*=UTF-8''([^;]+)/.exec(disposition)?.[1];
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = decodeURIComponent(name ?? "stem.wav");
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
