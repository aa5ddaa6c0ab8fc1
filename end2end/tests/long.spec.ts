/**
 * A conversation of a thousand messages, about a million characters, is used as a short one is.
 *
 * Where a name would be looked for among all the elements of such a page, Playwright takes seconds for it that
 * no browser takes; there it is found by its class.
 */
import type { Locator, Page } from "@playwright/test";

import { expect, test } from "../fixtures.ts";
import { saveLong } from "../long.ts";
import type { Rill } from "../rill.ts";

// A recording of each step takes many times as long as the step.
test.use({ trace: "off" });

const MESSAGES = 1000;
async function openLong(rill: Rill, page: Page): Promise<void> {
  await page.goto(`c/${await saveLong(rill, { messages: MESSAGES, filler: 20 })}`);
  await expect(page.locator(".send")).toBeEnabled({ timeout: 20_000 });
}

/** The last answer's last words. */
function ending(page: Page, text: string): Locator {
  return page.locator("article.reply").last().getByText(text);
}

test("a conversation of a thousand messages opens at its end and takes another one", async ({ upstream, rill, page }) => {
  await openLong(rill, page);
  await expect(ending(page, `So ends answer ${MESSAGES - 1}.`)).toBeInViewport();
  const composer = page.locator("#message");
  await composer.fill("And one more");
  await composer.press("Enter");
  await upstream.send("It streams");
  await expect(page.locator("article.reply").last()).toContainText("It streams");
  await upstream.send(" as ever.");
  await upstream.finish();
  await expect(page.locator("[data-cursor]")).toHaveCount(0);
  await expect(page.locator("article.reply").last()).toContainText("It streams as ever.");
  await expect(page.locator("article.reply").last()).toBeInViewport();
  // All that was said before is sent along.
  expect((await upstream.request(1)).history.length).toBe(MESSAGES + 1);
});

test("the browser finds and selects what is far from the screen in a conversation of a thousand messages", async ({ rill, page }) => {
  test.slow();
  await openLong(rill, page);
  // What is not there yet is loaded before one can have typed what to look for.
  await page.keyboard.press("Control+f");
  await expect(page.locator("article.reply")).toHaveCount(MESSAGES / 2, { timeout: 60_000 });
  // The browser's own search; its window, which no script can open, then goes to what was found.
  const found = await page.evaluate(() => (window as unknown as { find(text: string, ...how: boolean[]): boolean }).find("Answer 101 begins.", false, true));
  expect(found).toBe(true);
  expect(await page.evaluate(() => getSelection()!.toString())).toBe("Answer 101 begins.");
  await page.evaluate(() => getSelection()!.focusNode!.parentElement!.scrollIntoView());
  await expect(page.getByText("Answer 101 begins.")).toBeInViewport();
  await page.evaluate(() => getSelection()!.selectAllChildren(document.querySelector("[role=log]")!));
  const all = await page.evaluate(() => getSelection()!.toString());
  for (const number of [1, 501, MESSAGES - 1]) expect(all).toContain(`So ends answer ${number}.`);
});

test("a conversation of a thousand messages is scrolled to its beginning and back", async ({ rill, page }) => {
  test.slow();
  await openLong(rill, page);
  await expect(ending(page, `So ends answer ${MESSAGES - 1}.`)).toBeInViewport();
  await page.locator("article.reply").last().hover();
  // What was never on the screen has a height that is guessed, so the way is longer than it looks.
  // By the document's first message, since a look for a text in such a page takes seconds.
  const first = async () => {
    await page.mouse.wheel(0, -1_000_000);
    return page.evaluate(() => document.querySelector("article")!.textContent!);
  };
  await expect.poll(first, { timeout: 80_000, intervals: [200] }).toContain("Question 0?");
  await page.mouse.wheel(0, -1_000_000);
  await expect(page.locator("article").first()).toBeInViewport();
  await page.getByText("Jump to latest").click();
  await expect(ending(page, `So ends answer ${MESSAGES - 1}.`)).toBeInViewport();
});
