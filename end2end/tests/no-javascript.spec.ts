/** With JavaScript off the page is readable and says what is missing. */
import { expect, test } from "../fixtures.ts";

test("the page is there, and a notice says what is missing", async ({ page, chat }) => {
  await page.goto("/");
  await expect(page).toHaveTitle(/Rill/);
  await expect(chat.composer).toBeVisible();
  // Playwright looks past this element's text content, but not past what is drawn of it.
  await expect(page.locator("noscript")).toContainText(/JavaScript/, { useInnerText: true });
  await expect(page.locator("noscript")).toBeVisible();
  await expect(page.getByRole("main")).toBeVisible();
});

test("it is styled, in light and dark", async ({ page }) => {
  const pictures: Buffer[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto("/");
    pictures.push(await page.screenshot());
  }
  expect(pictures[0]!.equals(pictures[1]!)).toBe(false);
});
