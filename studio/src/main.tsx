// SPDX-License-Identifier: GPL-3.0-or-later
import { render } from "preact";
import { App } from "./app";
import { store } from "./store";

store.connect();
render(<App />, document.getElementById("app")!);
