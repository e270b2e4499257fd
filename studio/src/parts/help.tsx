// SPDX-License-Identifier: GPL-3.0-or-later
import { useRef } from "preact/hooks";

export const KEYS: [string, string][] = [
  ["Space", "play, pause"],
  ["← →", "one second back, forward"],
  ["↑ ↓", "zoom in, out; 0 shows all"],
  ["Home End", "to the beginning, the end"],
  ["1 – 6", "solo a stem"],
  ["Shift 1 – 6", "mute a stem"],
  ["A", "the original, as loud; the stems"],
  ["L", "loop on, off"],
  ["I O", "loop begins here, ends here"],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        Keys
      </button>
      <dialog ref={dialog} aria-label="Keys">
        <table>
          <tbody>
            {KEYS.map(([key, what]) => (
              <tr key={key}>
                <th scope="row">{key}</th>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </dialog>
    </>
  );
}
