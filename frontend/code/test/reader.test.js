/** The reader of code: every language can be read, nothing of the text is lost, and what is read is right. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { languages, loaderOf } from "../src/languages.js";
import { Reader } from "../src/reader.js";

async function read(language, code) {
  const reader = new Reader(await loaderOf(language)());
  return code.split("\n").map((line) => reader.read(line));
}

const strange = ["", "  ", "\t\t", "\"unclosed", "/* unclosed", "'''", "<a href='", "$x = [{(", "#!/bin/sh", "漢字 é 👩‍👩‍👧", "x".repeat(2000), "\\", "```"];

for (const language of languages) {
  test(`${language}: no text is lost, whatever it is`, async () => {
    const lines = await read(language, strange.join("\n"));
    assert.deepEqual(lines.map((parts) => parts.map(([text]) => text).join("")), strange);
  });
}

for (const [language, code, word, kind] of [
  ["rust", "fn main() {}", "fn", "k"],
  ["python", "def f(x): return 'a'", "'a'", "s"],
  ["js", "const a = 42; // why", "// why", "c"],
  ["typescript", "let a: string = `b`", "let", "k"],
  ["go", "func main() { x := 1 }", "func", "k"],
  ["php", "<?php $a = 'b';", "$a", undefined],
  ["php", "function f() { return true; }", "function", "k"],
  ["sql", "SELECT a FROM b WHERE c = 1", "SELECT", "k"],
  ["json", '{"a": 1}', "1", "n"],
  ["css", "a { color: red; }", "color", "p"],
  ["html", "<p class='x'>text</p>", "p", "k"],
  ["bash", "echo \"hi\" # note", "# note", "c"],
  ["yaml", "key: value # note", "# note", "c"],
  ["c++", "int main() { return 0; }", "return", "k"],
]) {
  test(`${language}: ${word} is ${kind ?? "plain"}`, async () => {
    const [parts] = await read(language, code);
    const part = parts.find(([text]) => text.trim() === word || text.includes(word));
    assert.equal(part?.[1], kind);
  });
}

test("a comment over several lines is one on each of them", async () => {
  const lines = await read("java", "/* one\ntwo\nthree */ int x;");
  assert.deepEqual(lines.map(([first]) => first[1]), ["c", "c", "c"]);
});
