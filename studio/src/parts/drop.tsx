// SPDX-License-Identifier: GPL-3.0-or-later
// Files come in: dropped anywhere, or chosen.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { store, useStore } from "../store";

export function DropTarget({ children }: { children: ComponentChildren }) {
  const [over, setOver] = useState(false);
  const carriesFiles = (event: DragEvent) => !!event.dataTransfer?.types.includes("Files");
  return (
    <div
      class={over ? "page over" : "page"}
      onDragOver={(event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget === null) setOver(false);
      }}
      onDrop={(event) => {
        setOver(false);
        if (!carriesFiles(event) || !event.dataTransfer) return;
        event.preventDefault();
        // Entries first: the list is empty after the first wait.
        const items = [...event.dataTransfer.items];
        const entries = items.map((item) => item.webkitGetAsEntry());
        const plain = [...event.dataTransfer.files];
        store.try(
          (entries.some((entry) => entry?.isDirectory) ? allOf(entries) : Promise.resolve(plain))
            .then((files) => store.add(files)),
        );
      }}
    >
      {children}
      {over && (
        <div class="overlay" aria-hidden="true">
          Drop recordings or folders
        </div>
      )}
    </div>
  );
}

async function allOf(entries: (FileSystemEntry | null)[]): Promise<File[]> {
  const files: File[] = [];
  for (const entry of entries) {
    if (entry?.isFile)
      files.push(await fileOf(entry as FileSystemFileEntry));
    else if (entry?.isDirectory) files.push(...(await below(entry as FileSystemDirectoryEntry)));
  }
  return files;
}

const fileOf = (entry: FileSystemFileEntry) =>
  new Promise<File>((resolve, reject) => entry.file(resolve, reject));

/** Recordings in a folder, by the endings that `lars separate` looks for. */
async function below(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // A part at a time, until there are none left.
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!part.length) break;
    all.push(...part);
  }
  all.sort((a, b) => a.name.localeCompare(b.name));
  return allOf(all.filter((entry) => !entry.name.startsWith(".") && wanted(entry)));
}

function wanted(entry: { name: string; isDirectory?: boolean }): boolean {
  const name = entry.name.toLowerCase();
  return !!entry.isDirectory ||
    (store.snapshot?.extensions ?? []).some((extension) => name.endsWith(extension));
}

export function AddFiles() {
  useStore();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (input: HTMLInputElement, all: boolean) => {
    const chosen = [...(input.files ?? [])];
    store.add(all ? chosen : chosen.filter((file) => wanted(file)));
    input.value = "";
  };
  return (
    <section class="card add" aria-label="Add recordings">
      <p>Drop recordings anywhere on this page</p>
      <div class="row">
        <button type="button" class="main" onClick={() => files.current?.click()}>
          Choose files…
        </button>
        <button type="button" onClick={() => folder.current?.click()}>
          Folder…
        </button>
      </div>
      <input
        ref={files} type="file" multiple hidden data-testid="files"
        onChange={(event) => take(event.currentTarget, true)}
      />
      <input
        ref={(element) => {
          folder.current = element;
          element?.setAttribute("webkitdirectory", "");
        }}
        type="file" multiple hidden onChange={(event) => take(event.currentTarget, false)}
      />
    </section>
  );
}
