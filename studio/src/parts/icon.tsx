// SPDX-License-Identifier: GPL-3.0-or-later

/** A picture on a button whose label says what it does. */
export function Icon({ path }: { path: string }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
