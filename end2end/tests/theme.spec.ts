/** Light and dark: the system's choice, or the person's own, which stays. */
import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";

test.use({ colorScheme: "light" });

const background = (chat: Chat) => chat.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

test("a theme that was chosen stays chosen, from the first picture on", async ({ chat, page }) => {
  await chat.open();
  const light = await background(chat);
  await chat.openSettings();
  await page.getByRole("radio", { name: "Dark theme" }).check({ force: true });
  await expect.poll(() => background(chat)).not.toBe(light);
  const dark = await background(chat);

  // Before the page is alive: no flash of the other theme.
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\.wasm$/, async (route) => {
    await released;
    await route.continue();
  });
  await page.reload({ waitUntil: "commit" });
  await expect(chat.composer).toBeVisible();
  // Nothing is painted before the style sheet is there.
  await expect.poll(() => background(chat)).not.toBe("rgba(0, 0, 0, 0)");
  expect(await background(chat)).toBe(dark);
  release();
  await chat.ready();
  expect(await background(chat)).toBe(dark);
  await chat.openSettings();
  await expect(page.getByRole("radio", { name: "Dark theme" })).toBeChecked();

  await page.getByRole("radio", { name: "System theme" }).check({ force: true });
  await expect.poll(() => background(chat)).toBe(light);
});

test("the system's theme is followed while the page is open", async ({ chat, page }) => {
  await chat.open();
  const light = await background(chat);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(() => background(chat)).not.toBe(light);
});
