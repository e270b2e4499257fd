// SPDX-License-Identifier: GPL-3.0-or-later

/** How much of something is done, 0 to 1. */
export function Bar({ part, label }: { part: number; label: string }) {
  return (
    <div
      class="bar" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100}
      aria-valuenow={Math.floor(part * 100)}
    >
      <i style={{ width: `${part * 100}%` }} />
    </div>
  );
}
