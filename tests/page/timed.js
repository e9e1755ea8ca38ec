"use strict";
// A report as if both options' reads had been timed at six lengths of the history. Arguments: from, to.
const fs = require("node:fs");
const [from, to] = process.argv.slice(2);
const report = JSON.parse(fs.readFileSync(from));
const rows = [1000, 2000, 4000, 8000, 16000, 32000];
for (const p of report.pipelines)
  if (p.kind === "stream") p.query_by_history = { rows, ms: rows.map(n => p.option === 1 ? n / 20 : 5 + n / 10000) };
fs.writeFileSync(to, JSON.stringify(report));
