/** What Mermaid is given nests no deeper than it can draw. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { LEVELS, isTooDeep } from "../src/depth.js";

const nested = (head, open, close, levels) => `${head}\n${open.repeat(levels)}a${close.repeat(levels)}`;
const indented = (levels) => Array.from({ length: levels }, (_, level) => `${" ".repeat(level)}a`).join("\n");

const constructs = [
  ["flowchart TD", "subgraph a\n", "\nend"],
  ["flowchart TD", "subgraph a\n", ""],
  ["sequenceDiagram", "loop a\n", "\nend"],
  ["sequenceDiagram", "alt a\n", "\nend"],
  ["stateDiagram-v2", "state a {\n", "\n}"],
  ["classDiagram", "namespace a {\n", "\n}"],
  ["flowchart TD", "a[", "]"],
  ["flowchart TD", "a((", "))"],
  ["flowchart TD", "a{", ""],
  ["block-beta", "block\n", "\nend"],
];

for (const [head, open, close] of constructs) {
  test(`${head}: ${JSON.stringify(open)} nests as deep as it may, and not a hundred thousand times`, () => {
    assert.equal(isTooDeep(nested(head, open, close, 20)), false);
    for (const levels of [LEVELS + 1, 1000, 100_000]) assert.equal(isTooDeep(nested(head, open, close, levels)), true);
  });
}

test("a mind map nests by its indentation", () => {
  assert.equal(isTooDeep(indented(LEVELS)), false);
  assert.equal(isTooDeep(indented(LEVELS + 1)), true);
});

test("what is long and not deep is drawn", () => {
  for (const text of [
    `flowchart TD\n${"  a[one] --> b{two}\n".repeat(5000)}`,
    `flowchart TD\n${"subgraph a\n b\nend\n".repeat(5000)}`,
    `sequenceDiagram\n${"loop a\n  A->>B: (hello\nend\n".repeat(30)}`,
    `stateDiagram-v2\n${"state a {\n b\n}\n".repeat(5000)}`,
    "",
  ]) {
    assert.equal(isTooDeep(text), false, text.slice(0, 40));
  }
});
