/** Without any configuration a demo answers, and says that it is one. */
import { expect, test } from "../fixtures.ts";

// Empty variables count as none.
test.use({ environment: { OPENAI_BASE_URL: "", OPENAI_API_KEY: "" } });

test("the page says that it is a demo, and what to set", async ({ chat, page }) => {
  await chat.open();
  const notice = page.getByText(/demo/i).first();
  await expect(notice).toBeVisible();
  await expect(page.getByText(/OPENAI_API_KEY/).first()).toBeVisible();
});

test("it answers with what was asked, at a human pace", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Why do zebrafish glow?");
  await expect(chat.answer().locator("[data-cursor]")).toBeVisible();
  await expect(chat.answer()).toContainText("zebrafish", { timeout: 20_000 });
  await expect(chat.status).toHaveText(/^Answer complete/, { timeout: 25_000 });
  await expect(chat.alert).toHaveCount(0);
  expect(upstream.exchanges.length).toBe(0);
});

test("it can be stopped", async ({ chat }) => {
  await chat.open();
  await chat.ask("Why do zebrafish glow?");
  await expect(chat.answer()).toContainText(/\w+ \w+/);
  await chat.stop.click();
  await expect(chat.status).toHaveText("Stopped");
  await expect(chat.answer()).toContainText("Stopped");
});
