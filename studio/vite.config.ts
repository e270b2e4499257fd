// SPDX-License-Identifier: GPL-3.0-or-later
import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  build: {
    outDir: "../lars_plugin/studio/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    license: false,
  },
});
