/** What is beside a text: copying a table, quoting a selection, the outline, and notifications. */
import type { Page } from "@playwright/test";

import { expect, test } from "../fixtures.ts";

const TABLE = "| Name | Size, of it |\n| :-- | --: |\n| `a` | **1** |\n| say \"b\" | =2 |\n\nBelow the table.";

const clipboard = (page: Page): Promise<string> => page.evaluate(() => navigator.clipboard.readText());

test("a table is copied as CSV and as Markdown", async ({ chat, upstream, page }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  upstream.willAnswer([TABLE]);
  await chat.open();
  await chat.ask("A table, please");
  await chat.finished();
  const table = chat.answer().getByRole("group", { name: "Table" });
  const tools = page.getByRole("toolbar", { name: "Table" });
  await expect(tools).toBeHidden();
  await table.hover();
  await expect(tools).toBeVisible();
  await tools.getByRole("button", { name: "Copy as CSV" }).click();
  await expect.poll(() => clipboard(page)).toBe('Name,"Size, of it"\r\na,1\r\n"say ""b""",\'=2\r\n');
  await table.hover();
  await tools.getByRole("button", { name: "Copy as Markdown" }).click();
  await expect.poll(() => clipboard(page)).toBe('| Name | Size, of it |\n| :-- | --: |\n| `a` | **1** |\n| say "b" | =2 |\n');
  await chat.composer.hover();
  await expect(tools).toBeHidden();
  // By keyboard the palette does it.
  await page.keyboard.press("Control+k");
  await page.keyboard.type("as CSV");
  await page.keyboard.press("Enter");
  await expect.poll(() => clipboard(page)).toContain('"say ""b"""');
});

test("a selection is quoted in the message below what was written", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["The first paragraph.\n\nThe second paragraph."]);
  await chat.open();
  await chat.ask("Two paragraphs, please");
  await chat.finished();
  await chat.composer.fill("About this:");
  const quote = page.getByRole("button", { name: "Quote in reply" });
  await expect(quote).toBeHidden();
  await chat.answer().getByText("The second paragraph.").selectText();
  await expect(quote).toBeVisible();
  await quote.click();
  await expect(chat.composer).toHaveValue("About this:\n\n> The second paragraph.\n\n");
  await expect(chat.composer).toBeFocused();
  await expect(quote).toBeHidden();
});

test("a long conversation has an outline of its questions to jump to", async ({ chat, upstream, page }) => {
  await chat.open();
  const outline = page.getByRole("button", { name: "Outline" });
  for (let number = 1; number <= 4; number++) {
    upstream.willAnswer([Array.from({ length: 30 }, (_, at) => `Answer ${number}, paragraph ${at}.`).join("\n\n")]);
    await expect(outline).toBeHidden();
    await chat.ask(`Question number ${number}`);
    await chat.finished();
  }
  await outline.click();
  const dialog = page.getByRole("dialog", { name: "Outline" });
  await expect(dialog.getByRole("option")).toHaveText(["Question number 4", "Question number 3", "Question number 2", "Question number 1"]);
  await page.keyboard.type("2");
  await expect(dialog.getByRole("option")).toHaveText(["Question number 2"]);
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(chat.question(2)).toBeInViewport();
  await expect(chat.answer(4)).not.toBeInViewport();
});

test("after a long answer in a hidden tab notifications are offered, and tell nothing of the text", async ({ chat, upstream, page }) => {
  await page.context().grantPermissions(["notifications"]);
  await page.addInitScript(() => {
    const shown: string[] = [];
    // The page's clock, which the test sets forward. Timers go on as they do.
    const now = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => now() + ahead;
    const skip = (milliseconds: number): void => void (ahead += milliseconds);
    Object.assign(window, { shown, skip });
    window.Notification = class extends Notification {
      constructor(title: string, options?: NotificationOptions) {
        super(title, options);
        shown.push(title + (options?.body ?? ""));
      }
    };
  });
  const shown = (): Promise<string[]> => page.evaluate(() => (window as unknown as { shown: string[] }).shown);
  const show = (state: "hidden" | "visible") =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await chat.open();
  const ask = async (milliseconds: number): Promise<void> => {
    upstream.willWait();
    await chat.ask("A question with a secret");
    await upstream.send("It begins");
    await expect(page).toHaveTitle(/^…/);
    await show("hidden");
    await page.evaluate((milliseconds) => (window as unknown as { skip: (milliseconds: number) => void }).skip(milliseconds), milliseconds);
    await upstream.finish();
    await expect(page).toHaveTitle(/^✓/);
  };
  await ask(1_000);
  await show("visible");
  await expect(page).not.toHaveTitle(/^✓/);
  await expect(page.getByText("Tell you when an answer is ready?")).toHaveCount(0);
  await ask(25_000);
  expect(await shown()).toEqual([]);
  await show("visible");
  await page.getByRole("button", { name: "Notify me" }).click();
  await ask(1_000);
  await expect.poll(shown).toEqual(["Your answer is ready"]);
  await show("visible");
  await chat.openSettings();
  const setting = chat.settings.getByRole("combobox", { name: "Notifications" });
  await expect(setting).toHaveValue("on");
  await setting.selectOption("Off");
  await page.keyboard.press("Escape");
  await ask(1_000);
  expect(await shown()).toHaveLength(1);
});
