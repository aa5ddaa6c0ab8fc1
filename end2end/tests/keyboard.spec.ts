/** Everything can be done with the keyboard alone, and one sees where one is. */
import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";

/** What has the focus, by its name. */
function focused(chat: Chat): Promise<string> {
  return chat.page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    return element.getAttribute("aria-label") ?? ((element as HTMLInputElement).labels?.[0]?.innerText || element.innerText.trim() || element.tagName);
  });
}

test("the whole job is done with keys", async ({ chat, upstream, page }) => {
  await chat.open();
  await chat.composer.focus();
  await page.keyboard.type("Ask with the keyboard");
  await page.keyboard.press("Enter");
  await upstream.send("Half an answer");
  await expect(chat.answer()).toContainText("Half an answer");
  await page.keyboard.press("Escape");
  await expect(chat.answer()).toContainText("Stopped");

  await chat.answer().getByRole("button", { name: "Regenerate" }).focus();
  await page.keyboard.press("Enter");
  await upstream.send("A whole answer.");
  await upstream.finish();
  await chat.finished();
  await chat.expectText(chat.answer(), "A whole answer.");

  await chat.newChat.focus();
  await page.keyboard.press("Enter");
  await expect(chat.answers).toHaveCount(0);
  await expect(chat.composer).toBeFocused();
});

test("the first Tab reaches a link that skips to the composer", async ({ chat, page }) => {
  await chat.open();
  await chat.tabFromTop();
  await page.keyboard.press("Tab");
  const skip = page.locator(":focus");
  await expect(skip).toHaveRole("link");
  await expect(skip).toHaveAccessibleName(/skip/i);
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect(chat.composer).toBeFocused();
});

test("Tab goes through the page in the order in which it is read, and back", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["An answer."]);
  await chat.open();
  await chat.ask("A question to tab through");
  await chat.finished();
  await chat.composer.fill("so that Send can be used");
  await chat.tabFromTop();
  const order: { name: string; y: number; inside: string }[] = [];
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    const name = await focused(chat);
    if (name === "BODY") break;
    const where = await page.evaluate(() => {
      const element = document.activeElement!;
      return { y: element.getBoundingClientRect().top, inside: element.closest("article")?.getAttribute("aria-label") ?? element.closest("[role=log]")?.getAttribute("aria-label") ?? "" };
    });
    order.push({ name, ...where });
    if (name === "Send") break;
  }
  const names = order.map(({ name }) => name);
  expect(names).toContain("Edit");
  expect(names).toContain("Regenerate");
  const position = (name: string) => names.indexOf(name);
  expect(position("Edit")).toBeLessThan(position("Regenerate"));
  expect(position("Regenerate")).toBeLessThan(position("Message"));
  expect(position("Message")).toBeLessThan(position("Send"));
  // Nothing is a trap: back through all of it.
  for (const name of names.toReversed().slice(1)) {
    await page.keyboard.press("Shift+Tab");
    expect(await focused(chat)).toBe(name);
  }
});

test("one sees what has the focus", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["An answer."]);
  await chat.open();
  await chat.ask("A question to look at");
  await chat.finished();
  await chat.composer.fill("so that Send can be used");
  await chat.tabFromTop();
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    const name = await focused(chat);
    if (name === "BODY") break;
    // A ring, a border or a shadow: drawn, whichever it is. The picture changes when the focus leaves.
    const element = await page.evaluateHandle(() => document.activeElement as HTMLElement);
    const box = (await element.boundingBox())!;
    const clip = { x: Math.max(0, box.x - 8), y: Math.max(0, box.y - 8), width: box.width + 16, height: box.height + 16 };
    const withFocus = await page.screenshot({ clip, caret: "hide" });
    await element.evaluate((node) => node.blur());
    const without = await page.screenshot({ clip, caret: "hide" });
    await element.evaluate((node) => node.focus({ preventScroll: true }));
    expect(withFocus.equals(without), `the focus on "${name}" is seen`).toBe(false);
    if (name === "Send") return;
  }
  throw new Error("Tab never reached Send");
});

test("Esc does nothing when there is nothing to stop", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["An answer."]);
  await chat.open();
  await chat.composer.fill("Not sent yet");
  await page.keyboard.press("Escape");
  await expect(chat.composer).toHaveValue("Not sent yet");
  await page.keyboard.press("Enter");
  await chat.finished();
  await page.keyboard.press("Escape");
  await expect(chat.answer()).not.toContainText("Stopped");
  await chat.expectText(chat.answer(), "An answer.");
});
