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

const openers = ["(", "(*", "{", "[", "<a>", "<a ", "#{", "`${", "/*", "begin ", "$(", "${", "a => ", "(a, ", "x ? ", "class A {\n"];

test("what nests ten thousand times holds nothing up in any mode", async () => {
  const modes = new Set(await Promise.all(languages.map((language) => loaderOf(language)())));
  for (const mode of modes) {
    for (const opener of openers) {
      const reader = new Reader(mode);
      const line = opener.repeat(Math.floor(900 / opener.length));
      for (let level = 0; level < 10_000; level += line.length / opener.length) {
        const read = line.split("\n").map((line) => reader.read(line));
        assert.equal(read.map((parts) => parts.map(([text]) => text).join("")).join("\n"), line);
      }
    }
  }
});

test("a mode that fails leaves the rest as it is", () => {
  const reader = new Reader({
    token() {
      throw new RangeError("too deep");
    },
  });
  for (const line of ["if", "if"]) assert.deepEqual(reader.read(line), [[line, undefined]]);
  assert.deepEqual(reader.read(""), []);
});

test("code with ten thousand pairs of brackets has its colours", async () => {
  const reader = new Reader(await loaderOf("js")());
  for (let line = 0; line < 10_000; line += 1) reader.read("f({ a: [1] });");
  assert.ok(reader.read("if (a) {").some(([text, kind]) => text === "if" && kind === "k"));
});

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
