/** Replies are Markdown: as it grows, when it is whole, and whatever it tries. */
import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";

const REPLY = [
  "# A heading",
  "A paragraph with **bold**, *emphasis*, `code`, ~~gone~~, ![a picture](https://example.com/p.png) and a [link](https://example.com/a).",
  "- one\n- two\n  1. nested\n  2. more\n- [ ] to do\n- [x] done",
  "> quoted\n>\n> - within",
  "| name | size |\n|:--|--:|\n| a | 1 |\n| b | **2** |",
  "```rust\nfn main() {\n    println!(\"<hi>\");\n}\n```",
  "```mermaid\ngraph TD\n  A --> B\n```",
  "A note[^1] and see https://example.com/b.",
  "---",
  "[^1]: The note.",
].join("\n\n");

/** The elements of an answer, with texts that stand beside each other joined. */
function tree(chat: Chat, number = 1): Promise<string> {
  return chat.answer(number).locator("[data-text]").evaluate((element) => {
    const copy = element.cloneNode(true) as HTMLElement;
    for (const span of copy.querySelectorAll("code span")) span.replaceWith(...span.childNodes);
    copy.normalize();
    return copy.innerHTML;
  });
}

test("a reply becomes headings, lists, tables, code and links", async ({ chat, upstream }) => {
  upstream.willAnswer([...REPLY]);
  await chat.open();
  await chat.ask("Show me everything");
  await chat.finished();
  const answer = chat.answer();
  await expect(answer.getByRole("heading", { level: 1, name: "A heading" })).toBeVisible();
  await expect(answer.locator("strong").first()).toHaveText("bold");
  await expect(answer.locator("em")).toHaveText("emphasis");
  await expect(answer.locator("del")).toHaveText("gone");
  await expect(answer.getByRole("link", { name: "link" })).toHaveAttribute("href", "https://example.com/a");
  await expect(answer.getByRole("link", { name: "link" })).toHaveAttribute("rel", "noopener noreferrer");
  await expect(answer.getByRole("link", { name: "https://example.com/b" })).toBeVisible();
  await expect(answer.getByRole("list")).toHaveCount(3);
  await expect(answer.getByRole("img", { name: "Done", exact: true })).toHaveCount(1);
  await expect(answer.getByRole("blockquote")).toContainText("quoted");
  await expect(answer.getByRole("table").getByRole("row")).toHaveCount(3);
  await expect(answer.getByRole("columnheader", { name: "size" })).toBeVisible();
  await expect(answer.locator("pre code").first()).toHaveText('fn main() {\n    println!("<hi>");\n}\n');
  await expect(answer.locator("sup").first()).toHaveText("1");
});

test("a block that comes leaves the style of all that stand before it alone", async ({ chat, upstream, page, context }) => {
  const blocks = Array.from({ length: 100 }, (_, number) => `Paragraph ${number} is *here*.\n\n`);
  await chat.open();
  await chat.ask("Write block by block");
  await upstream.send(blocks.join(""));
  await expect(chat.answer()).toContainText("Paragraph 99 is here.");
  await chat.drawn();
  const browser = context.browser()!;
  await browser.startTracing(page, { categories: ["devtools.timeline"] });
  // A rule has no place in it for the cursor, which then stands between the blocks.
  for (const [number, block] of ["***\n\n", "Here it goes on.\n\n", "***\n\n", "- one\n- two\n\n", "***\n\n", "> The end.\n\n"].entries()) {
    await upstream.send(block);
    await expect(chat.answer().locator("[data-text] > :not([data-cursor])")).toHaveCount(101 + number);
    await chat.drawn();
  }
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: { name: string; args: { elementCount?: number } }[] };
  const styled = traceEvents.filter(({ name }) => name === "UpdateLayoutTree").map(({ args }) => args.elementCount ?? 0);
  expect(styled.length, "changes that were seen").toBeGreaterThan(5);
  expect(Math.max(...styled), "elements whose style was looked at for one of them").toBeLessThan(100);
});

test("blocks stand apart, wherever they are", async ({ chat, upstream }) => {
  const blocks = ["A paragraph.", "- one\n- two", "1. one\n2. two", "> quoted", "```\ncode\n```", "| a | b |\n|--|--|\n| 1 | 2 |", "A paragraph.", "## A heading", "- one", "The end."];
  const within = (marker: string) => blocks.filter((block) => !block.startsWith("|")).map((block, at) => (at === 0 ? marker : "  ") + block.replaceAll("\n", "\n  ")).join("\n\n");
  upstream.willAnswer([[...blocks, within("* "), blocks.join("\n\n").replace(/^/gm, "> ")].join("\n\n")]);
  await chat.open();
  await chat.ask("Write blocks of all kinds");
  await chat.finished();
  for (const place of ["[data-text]", "[data-text] > ul:last-of-type > li", "[data-text] > blockquote:last-of-type"]) {
    const gaps = await chat.answer().locator(place).evaluate((parent) =>
      [...parent.children].slice(1).map((block, at) => {
        const before = parent.children[at]!;
        return [`${before.localName} and ${block.localName}`, Math.round(block.getBoundingClientRect().top - before.getBoundingClientRect().bottom)] as const;
      }),
    );
    expect(gaps.length, place).toBeGreaterThan(7);
    expect(gaps.filter(([, gap]) => gap < 6 || gap > 40), place).toEqual([]);
  }
});

test("character by character it ends as the same document as at once", async ({ chat, upstream }) => {
  upstream.willAnswer([...REPLY]);
  upstream.willAnswer([REPLY]);
  await chat.open();
  await chat.ask("Slowly, please");
  await chat.finished();
  await chat.ask("At once, please");
  await chat.finished();
  expect(await tree(chat, 1)).toBe(await tree(chat, 2));
});

for (const { piece, shows, hides } of [
  { piece: "so **bold", shows: ["strong", "bold"], hides: "*" },
  { piece: "so **bold*", shows: ["strong", "bold"], hides: "*" },
  { piece: "so `code", shows: ["code", "code"], hides: "`" },
  { piece: "so [link](https://exam", shows: ["a", "link"], hides: "[" },
  { piece: "| a | b |\n|--", shows: ["th >> nth=0", "a"], hides: "|" },
  { piece: "```rust\nlet a = 1;\n``", shows: ["pre code", "let a = 1;"], hides: "`" },
  { piece: "A paragraph\n---", shows: ["p", "A paragraph"], hides: "-" },
  { piece: "1. one\n2. two\n3.", shows: ["li >> nth=1", "two"], hides: "3" },
] as const) {
  test(`while it grows, ${JSON.stringify(piece)} shows what it will be`, async ({ chat, upstream }) => {
    await chat.open();
    await chat.ask("Begin something");
    await upstream.send(piece);
    await expect(chat.answer().locator("[data-text]").locator(shows[0])).toHaveText(shows[1]);
    expect(await chat.answer().locator("[data-text]").innerText()).not.toContain(hides);
    await upstream.finish();
    await chat.finished();
  });
}

test("the cursor stands at the end of every kind of block", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Show me everything");
  for (const [piece, host] of [
    ["# A head", "h1"],
    ["ing\n\nA paragraph", "p"],
    [" with **bold", "strong"],
    ["** text.\n\n- an item", "li p"],
    ["\n  - a nested item", "li li p"],
    ["\n\n> a quotation", "blockquote p"],
    ["\n\n| a | b |\n|---|---|\n| one", "td"],
    [" | two", "td"],
    [" |\n\n```js\nlet a = 1;", "code"],
    ["\nlet b = 2;", "code"],
  ] as const) {
    await upstream.send(piece);
    await expect(chat.answer()).toContainText(piece.split(/[\n*|]/).at(-1)!.replace(/^[-># ]+/, "").trim());
    await chat.drawn();
    expect(await chat.cursor.evaluate((cursor, host) => cursor.parentElement!.matches(host), host), `the cursor is in ${host}`).toBe(true);
    expect(await chat.cursor.evaluate((cursor) => cursor.nextSibling)).toBeNull();
  }
  await upstream.finish();
  await chat.finished();
  await expect(chat.cursor).toHaveCount(0);
});

for (const [where, before, later] of [
  ["a paragraph", "Select these words while", " the paragraph grows and grows."],
  ["a block of code", "```js\nlet these = 'words';\nlet more", " = 1;\nlet evenMore = 2;\n"],
  ["a list", "- these words\n- another", " item\n- and one more\n"],
  ["a paragraph of many pages", `${"And on it goes. ".repeat(300)}Select these words`, ", and on it goes, and on".repeat(10)],
] as const) {
  test(`a selection stays while text streams into ${where}`, async ({ chat, upstream }) => {
    await chat.open();
    await chat.ask("Let me select");
    await upstream.send(before);
    await expect(chat.answer()).toContainText("these");
    await chat.drawn();
    await chat.answer().locator("[data-text]").evaluate((element) => {
      const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const at = (node as Text).data.indexOf("these");
        if (at >= 0) getSelection()!.setBaseAndExtent(node, at, node, at + 5);
      }
    });
    for (let round = 0; round < 30; round += 1) await upstream.send(later);
    await expect(chat.answer()).toContainText(later.trim().split("\n").at(-1)!.replace(/^- /, ""));
    await chat.drawn();
    expect(await chat.page.evaluate(() => getSelection()!.toString())).toBe("these");
    const breaks = chat.answer().locator("[data-shaping-break]");
    if (where === "a paragraph of many pages") {
      expect(await breaks.first().evaluate((shapingBreak) => getComputedStyle(shapingBreak).marginInlineEnd), "what parts two glyphs").not.toBe("0px");
    }
    await upstream.finish();
    await chat.finished();
    expect(await chat.page.evaluate(() => getSelection()!.toString())).toBe("these");
    await expect(breaks).toHaveCount(0);
  });
}

test("a copied selection gives its text and its HTML, without what only the page needs @desktop", async ({ chat, upstream, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  upstream.willAnswer(["Some **bold** words, ![a picture](https://example.com/p.png).\n\n- one\n- two\n\n```js\nlet a = 1;\nlet b;\n```\n\n| n | m |\n|--|--|\n| 1 | 2 |\n\nAn end."]);
  await chat.open();
  await chat.ask("Write something to select");
  await chat.finished();
  await chat.answer().locator("[data-text]").evaluate((element) => getSelection()!.selectAllChildren(element));
  await chat.page.keyboard.press("ControlOrMeta+c");
  const copied = () =>
    chat.page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      const read = async (type: string) => (await item!.getType(type)).text();
      return { text: await read("text/plain"), html: await read("text/html") };
    });
  const { text, html } = await copied();
  expect(text.replace(/\n\s*\n+/g, "\n").trim().split("\n").map((line) => line.trim())).toEqual([
    "Some bold words, a picture.", "one", "two", "let a = 1;", "let b;", "n\tm", "1\t2", "An end.",
  ]);
  for (const element of ["strong", "ul", "li", "pre", "code", "table", "td"]) expect(html).toContain(`<${element}`);
  for (const name of ["Copy code", "Show image"]) expect(html).not.toContain(name);
});

const HOSTILE = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  "<svg onload=alert(1)>",
  "<style>*{display:none}</style>",
  "<form action=https://evil.test><button>x</button></form>",
  "<base href=https://evil.test>",
  '<meta http-equiv=refresh content="0;url=https://evil.test">',
  "<details open ontoggle=alert(1)>x</details>",
  "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](java\tscript:alert(1)) [d](&#106;avascript:alert(1))",
  "[e](data:text/html,x) [f](vbscript:x) <javascript:alert(1)> [g][h]\n\n[h]: javascript:alert(1)",
  '```"><img src=x onerror=alert(1)>\ncode\n```',
  `\`\`\`${"x".repeat(10_000)}\ncode\n\`\`\``,
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  "<svg><a><animate attributeName=href values=javascript:alert(1) /></a></svg>",
  "![x](javascript:alert(1)) ![y](https://evil.test/pixel.png)",
  '| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |\n|---|---|\n| <b onclick=alert(1)>x</b> | y |',
].join("\n\n");

test("nothing that a model writes comes alive", async ({ chat, upstream }) => {
  upstream.willAnswer(HOSTILE.match(/[\s\S]{1,7}/g)!);
  await chat.open();
  await chat.ask("Attack me, please");
  await chat.finished();
  const found = await chat.answer().locator("[data-text]").evaluate((root) => {
    const bad: string[] = [];
    const known = new Set("math mrow mi mn mo mtext mspace A BLOCKQUOTE BR BUTTON CODE DEL DIV EM FIGURE H1 H2 H3 H4 H5 H6 HR LI OL P PRE SPAN STRONG SUP TABLE TBODY TD TH THEAD TR UL".split(" "));
    for (const element of root.querySelectorAll("*")) {
      if (!known.has(element.tagName)) bad.push(`element ${element.tagName}`);
      for (const { name, value } of element.attributes) {
        if (/^on|style|src|id/.test(name)) bad.push(`attribute ${name}`);
        if (name === "href" && !/^(https?:\/\/|mailto:)/i.test(value)) bad.push(`address ${value}`);
      }
    }
    return bad;
  });
  expect(found).toEqual([]);
  // The guard of every test has seen no dialog, no request to another host, no breach of the policy.
  await expect(chat.answer()).toContainText("<script>alert(1)</script>");
  await expect(chat.answer()).toContainText("[a](javascript:alert(1))");
});

test("code can be copied, wrapped and saved", async ({ chat, upstream, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  upstream.willAnswer(["```python\nprint('a long line that may be wrapped')\n", "x = 1\n```"]);
  await chat.open();
  await chat.ask("Write some code");
  await chat.finished();
  await chat.answer().getByRole("button", { name: "Copy code" }).click();
  await expect.poll(() => chat.page.evaluate(() => navigator.clipboard.readText())).toBe("print('a long line that may be wrapped')\nx = 1\n");
  const wrap = chat.answer().getByRole("button", { name: "Wrap" });
  await wrap.click();
  await expect(wrap).toHaveAttribute("aria-pressed", "true");
  const saved = chat.page.waitForEvent("download");
  await chat.answer().getByRole("button", { name: "Download" }).click();
  expect((await saved).suggestedFilename()).toBe("code.py");
});

test("code is coloured as it grows, and the text is never held back", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Write some Rust");
  await upstream.send("```rust\n// a comment\nfn main() {\n    let answer = 42;\n    print");
  const code = chat.answer().locator("pre code");
  await expect(code).toContainText("print");
  await expect(code.locator("span.c")).toHaveText("// a comment");
  await expect(code.locator("span.k").first()).toHaveText("fn");
  await upstream.send("ln!(\"{answer}\");\n}\n```\n\nThat is all.");
  await expect(code.locator("span.s")).toHaveText('"{answer}"');
  await expect(code.locator("span.n")).toHaveText("42");
  await upstream.finish();
  await chat.finished();
  await expect(code).toHaveText('// a comment\nfn main() {\n    let answer = 42;\n    println!("{answer}");\n}\n');
});

test("of a long block of code all lines are found and copied, and the widest is shown whole", async ({ chat, upstream, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const lines = Array.from({ length: 600 }, (_, number) => `let line_${number} = ${number};`);
  lines[550] = `let wide = "${"-".repeat(300)}|";`;
  upstream.willAnswer(["```rust\n", ...lines.map((line) => `${line}\n`), "```\n\nThat is all."]);
  await chat.open();
  await chat.ask("Write a long program");
  await chat.finished();
  const code = chat.answer().locator("pre code");
  await expect(code.locator("span.n").last()).toHaveText("599");
  const found = await chat.page.evaluate(() => (window as unknown as { find(text: string, ...how: boolean[]): boolean }).find("line_7 ", false, true));
  expect(found).toBe(true);
  await chat.page.evaluate(() => getSelection()!.focusNode!.parentElement!.scrollIntoView());
  await expect(code.locator(".lines").first()).toBeInViewport();
  await code.evaluate((element) => getSelection()!.selectAllChildren(element));
  await chat.page.keyboard.press("ControlOrMeta+c");
  await expect.poll(async () => (await chat.page.evaluate(() => navigator.clipboard.readText())).trimEnd()).toBe(lines.join("\n"));
  // The end of the wide line can be scrolled to, and stands within what is painted of its lines.
  const pre = chat.answer().locator("pre");
  await pre.evaluate((element) => element.querySelectorAll(".lines")[13]!.scrollIntoView());
  await expect.poll(() => pre.evaluate((element) => element.scrollWidth - element.clientWidth)).toBeGreaterThan(500);
  const [inner, outer] = await pre.evaluate((element) => {
    const part = [...element.querySelectorAll(".lines")].find((one) => one.textContent!.includes("wide"))!;
    const range = document.createRange();
    range.selectNodeContents(part);
    return [range.getBoundingClientRect().right, part.getBoundingClientRect().right];
  });
  expect(outer).toBeGreaterThanOrEqual(Math.floor(inner));
});

test("formulas are drawn, prices are not, and what cannot be drawn is shown as it is", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Write some formulas");
  await upstream.send("So $e^{i\\pi} + 1 = 0$ and \\(x^2\\), for $4 and $5.\n\n$$\n\\frac{a}{b}\n$$\n\nBut $\\bad{x}$.");
  const text = chat.answer().locator("[data-text]");
  await expect(text.locator("math")).toHaveCount(3);
  await expect(text.locator("math mfrac")).toHaveCount(1);
  await expect(text.locator(".display math")).toHaveCount(1);
  await expect(text).toContainText("for $4 and $5.");
  await expect(text).toContainText("But \\bad{x}.");
  expect(await text.locator("math").first().evaluate((math) => math.namespaceURI)).toBe("http://www.w3.org/1998/Math/MathML");
  await upstream.finish();
  await chat.finished();
});
