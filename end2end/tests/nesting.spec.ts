/**
 * A model that falls into a loop writes the same opening over and over. Whatever it opens, the page lives: the reply
 * goes on, the next one comes, and the page of the saved conversation shows it again.
 */
import { randomUUID } from "node:crypto";

import { expect, test } from "../fixtures.ts";
import { Store } from "../store.ts";

// A recording of each step takes many times as long as the step.
test.use({ trace: "off" });

/** What a loop writes, and how often. */
const LOOPS: [string, number][] = [
  ["> ", 10_000],
  ["1. ", 6_000],
  ["- ", 10_000],
  ["*a ", 6_000],
  ["**a ", 6_000],
  ["_a **b ~~c ", 2_000],
  ["![", 6_000],
  ["> - 1. ", 3_000],
];

/** The same for formulas, which are drawn when they are closed. */
const FORMULAS: [string, string, number][] = [
  ["\\hat ", "", 1_900],
  ["\\frac a", "", 1_300],
  ["\\sqrt{", "}", 1_200],
  ["{", "}", 4_000],
  ["{", "}", 90],
  ["\\left(", "\\right)", 90],
  ["\\begin{pmatrix}", "\\end{pmatrix}", 20],
  ["\\hat{", "}", 45],
];

for (const [opening, times] of LOOPS) {
  test(`a reply that writes ${JSON.stringify(opening)} without end is shown, and the next one, too`, async ({ chat, upstream }) => {
    await chat.open();
    await chat.ask("Go on for ever");
    for (let piece = 0; piece < 10; piece += 1) await upstream.send(opening.repeat(times / 10));
    await upstream.send("innermost");
    await expect(chat.answer()).toContainText("innermost", { timeout: 30_000 });
    await upstream.finish();
    await chat.finished();
    await expect(chat.answer()).toContainText("innermost");
    upstream.willAnswer(["Still ", "**here**."]);
    await chat.ask("Are you there?");
    await chat.finished();
    await expect(chat.answer(2).locator("strong")).toHaveText("here");
  });
}

test("formulas that nest without end are shown as they were written", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Set some formulas");
  for (const [opening, closing, times] of FORMULAS) {
    await upstream.send(`$$${opening.repeat(times)} x${closing.repeat(times)}$$\n\n`);
  }
  await upstream.send("So much for that.");
  await expect(chat.answer()).toContainText("So much for that.", { timeout: 30_000 });
  await upstream.finish();
  await chat.finished();
  // The last four are deep, but can be drawn.
  await expect(chat.answer().locator("math")).toHaveCount(4, { timeout: 30_000 });
});

test("an imported conversation of texts that nest without end is a page like any other", async ({ chat, rill, page, upstream }) => {
  const texts = [
    ...LOOPS.map(([opening, times]) => `${opening.repeat(times)}innermost`),
    ...FORMULAS.map(([opening, closing, times]) => `$$${opening.repeat(times)} x${closing.repeat(times)}$$ innermost`),
    // More than the server renders of one text: it is left to the browser.
    `**left to the browser** ${"word ".repeat(60_000)}`,
  ];
  const state = { done: { finish: "stop" } };
  const messages = texts.flatMap((text, number) => [
    { id: `q${number}`, ...(number > 0 ? { parent: `a${number - 1}` } : {}), role: "user", text: "And?", created_at: 1, state },
    { id: `a${number}`, parent: `q${number}`, role: "assistant", text, created_at: 1, state },
  ]);
  const conversation = { id: randomUUID(), title: "Loops", created_at: 1, updated_at: 1, messages };
  const response = await fetch(`${rill.url}/api/import`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ format: "rill", version: 1, conversations: [conversation] }),
  });
  expect(response.ok).toBe(true);
  const [only] = await new Store(rill).list();
  await page.goto(`c/${only!.id}`);
  await expect(page.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
  // The page begins with the end; the rest is loaded before one can have typed what to look for.
  await page.keyboard.press("Control+f");
  await expect(page.locator("article.reply")).toHaveCount(texts.length, { timeout: 30_000 });
  for (let number = 0; number < texts.length - 1; number += 1) await expect(page.locator("article.reply").nth(number)).toContainText("innermost");
  await expect(page.locator("article.reply").last().locator("strong")).toHaveText("left to the browser", { timeout: 30_000 });
  upstream.willAnswer(["Still ", "**here**."]);
  await chat.ask("Are you there?");
  await chat.finished();
  await expect(page.locator("article.reply").last().locator("strong")).toHaveText("here");
});
