/** With JavaScript off the page is readable and says what is missing. */
import { expect, test } from "../fixtures.ts";

test("the page is there, and a notice says what is missing", async ({ page, chat }) => {
  await page.goto("./");
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
    await page.goto("./");
    pictures.push(await page.screenshot());
  }
  expect(pictures[0]!.equals(pictures[1]!)).toBe(false);
});

test("a deep link can be read, and the list leads to it", async ({ page, chat, rill, upstream }) => {
  upstream.willAnswer(["An answer to **read**."]);
  const id = "0190a0a0-0000-7000-8000-000000000001";
  const response = await fetch(`${rill.url}/api/conversations/${id}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ request_id: "0190a0a0-0000-7000-8000-000000000002", content: "A question to read" }),
  });
  await response.text();
  await page.goto("./");
  await page.getByRole("navigation", { name: "Conversations" }).getByRole("link", { name: /A question to read/ }).click();
  await expect(page).toHaveURL(new RegExp(`/c/${id}$`));
  await expect(chat.question(1)).toContainText("A question to read");
  await expect(chat.answer()).toContainText("An answer to read.");
});

test("pictures are links and diagrams are code, without buttons that would do nothing", async ({ page, chat, rill, upstream }) => {
  upstream.willAnswer(["![A picture](https://a.test/b.png)\n\n```mermaid\ngraph TD\n  A --> B\n```"]);
  const id = "0190a0a0-0000-7000-8000-000000000003";
  const response = await fetch(`${rill.url}/api/conversations/${id}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ request_id: "0190a0a0-0000-7000-8000-000000000004", content: "A question to look at" }),
  });
  await response.text();
  await page.goto(`c/${id}`);
  await expect(chat.answer().getByRole("link", { name: "A picture" })).toBeVisible();
  await expect(chat.answer().locator("pre code")).toContainText("A --> B");
  await expect(chat.answer().locator("[data-text]").getByRole("button")).toHaveCount(0);
});
