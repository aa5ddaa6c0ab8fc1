/** A page begins with the end of a long conversation, and what was said before comes when it is wanted. */
import type { Locator, Page } from "@playwright/test";

import { expect, test } from "../fixtures.ts";
import { saveLong } from "../long.ts";
import type { Rill } from "../rill.ts";
import { Store } from "../store.ts";

// A recording of each step takes many times as long as the step.
test.use({ trace: "off" });

const MESSAGES = 5000;

async function openLong(rill: Rill, page: Page, messages = MESSAGES): Promise<string> {
  const id = await saveLong(rill, { messages });
  await page.goto(`c/${id}`);
  await expect(page.locator(".send")).toBeEnabled({ timeout: 20_000 });
  return id;
}

/** The messages that are in the page. */
function articles(page: Page): Locator {
  return page.locator("[role=log] article");
}

/** Scrolls up with the wheel until this is in the page. */
async function scrollUpTo(page: Page, what: Locator): Promise<void> {
  await articles(page).last().hover();
  await expect(async () => {
    await page.mouse.wheel(0, -4000);
    await expect(what).toBeAttached({ timeout: 100 });
  }).toPass({ timeout: 20_000 });
}

test("a conversation of 5,000 messages is a small page that shows its end", async ({ rill, page }) => {
  const id = await saveLong(rill, { messages: MESSAGES });
  const response = await page.goto(`c/${id}`);
  expect((await response!.body()).length).toBeLessThan(1_500_000);
  await expect(page.getByText(`So ends answer ${MESSAGES - 1}.`)).toBeInViewport();
  expect(await articles(page).count()).toBeLessThan(200);
});

test("what was said before comes as one scrolls up, and what one looks at stays where it is", async ({ rill, page }) => {
  await openLong(rill, page);
  await scrollUpTo(page, page.getByText("Question 4900?", { exact: true }));
  const seen = await page.locator("[role=log]").evaluate(async (view) => {
    // At the very top, where a browser holds nothing in its place. A part may be on its way: what it
    // brings counts, so it is counted from the same moment.
    view.scrollTop = 0;
    const articles = [...view.querySelectorAll("article")];
    const top = view.getBoundingClientRect().top;
    const first = articles.find((article) => article.getBoundingClientRect().bottom > top + 100)!;
    const place = () => first.getBoundingClientRect().top;
    const [count, before] = [articles.length, place()];
    let farthest = 0;
    const deadline = performance.now() + 10_000;
    while (view.querySelectorAll("article").length < count + 20 && performance.now() < deadline) {
      await new Promise((done) => requestAnimationFrame(done));
      farthest = Math.max(farthest, Math.abs(place() - before));
    }
    return { more: view.querySelectorAll("article").length - count, farthest };
  });
  expect(seen.more).toBeGreaterThanOrEqual(20);
  expect(seen.farthest, "how far it moved").toBeLessThanOrEqual(4);
});

test("the key for a search loads all, so that the browser finds the first message", async ({ chat, rill, page }) => {
  test.slow();
  await openLong(rill, page, 2000);
  await page.keyboard.press("Control+f");
  await expect(page.getByText("Loading all messages…")).toBeInViewport();
  await expect(chat.status).toHaveText("All messages are loaded.", { timeout: 60_000 });
  await expect(page.getByText("Loading all messages…")).toHaveCount(0);
  expect(await articles(page).count()).toBe(2000);
  const found = await page.evaluate(() => (window as unknown as { find(text: string, ...how: boolean[]): boolean }).find("Answer 1 begins.", false, true));
  expect(found).toBe(true);
  // They stand in the order in which they were said.
  const texts = await page.locator("article.question .text").allTextContents();
  expect(texts).toEqual(Array.from({ length: 1000 }, (_, number) => `Question ${2 * number}?`));
});

test("select all and copy give the whole conversation, however early one copies", async ({ chat, rill, page, context }) => {
  test.slow();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await openLong(rill, page, 1000);
  await chat.conversation.focus();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Control+c");
  await expect(chat.status).toHaveText("All messages were copied.", { timeout: 60_000 });
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  for (const number of [1, 501, 999]) expect(copied).toContain(`So ends answer ${number}.`);
});

test("an old question is edited in its place, and the model is told what came before it", async ({ upstream, rill, page }) => {
  await openLong(rill, page);
  const first = articles(page).first();
  const number = Number(/\d+/.exec((await first.locator(".text").first().textContent())!)![0]);
  // The first one that is loaded is the hardest: what it follows is not.
  const question = number % 2 === 0 ? number : number + 1;
  // By its text: scrolling to it brings others before it.
  const old = page.locator("article.question").filter({ has: page.getByText(`Question ${question}?`, { exact: true }) });
  await old.scrollIntoViewIfNeeded();
  await old.getByRole("button", { name: "Edit" }).click();
  upstream.willAnswer(["Of the other question."]);
  await page.locator("textarea:focus").fill("In other words?");
  await page.locator("textarea:focus").press("Enter");
  await expect(page.locator("article.reply").last()).toContainText("Of the other question.");
  expect((await upstream.request(1)).history.length).toBe(question + 1);
  await page.reload();
  await expect(page.locator("article.question").last()).toContainText("In other words?");
  await expect(page.locator("article.question").last()).toContainText("2 of 2");
  // The other version is with the server, with all that follows it.
  await page.locator("article.question").last().getByRole("button", { name: "Previous version" }).click();
  await expect(page.getByText(`Question ${question}?`, { exact: true })).toBeInViewport();
  await expect(page.getByText(`Question ${question}?`, { exact: true }).locator("..")).toContainText("1 of 2");
  await page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(page.getByText(`So ends answer ${MESSAGES - 1}.`)).toBeInViewport();
});

test("an old reply is made once more", async ({ upstream, rill, page }) => {
  await openLong(rill, page, 300);
  const old = page.locator("article.reply").filter({ hasText: "So ends answer 255." });
  await scrollUpTo(page, old);
  await old.scrollIntoViewIfNeeded();
  await old.getByRole("button", { name: "Regenerate" }).click();
  await upstream.send("Another one.");
  await upstream.finish();
  await expect(page.locator("article.reply").last()).toContainText("Another one.");
  expect((await upstream.request(1)).history.length).toBe(255);
  await expect(page.locator("article.reply").last()).toContainText("2 of 2");
  await page.locator("article.reply").last().getByRole("button", { name: "Previous version" }).click();
  await expect(page.locator("article.reply").last()).toContainText("So ends answer 299.");
});

test("a version of which nothing is loaded is loaded with the path that it leads to", async ({ rill, page }) => {
  const branches = [
    { number: 6000, after: 297, text: "A question beside?" },
    { number: 6001, after: 6000, text: "An answer beside." },
  ];
  const id = await saveLong(rill, { messages: 300, branches });
  await page.goto(`c/${id}`);
  await expect(page.locator(".send")).toBeEnabled({ timeout: 20_000 });
  const question = page.locator("article.question").last();
  await expect(question).toContainText("1 of 2");
  const noted = page.waitForResponse(/\/api\/conversations\/show$/);
  await question.getByRole("button", { name: "Next version" }).click();
  await expect(page.locator("article.reply").last()).toContainText("An answer beside.");
  await expect(question).toContainText("2 of 2");
  await noted;
  await page.reload();
  await expect(page.locator("article.reply").last()).toContainText("An answer beside.");
});

test("a link to a message loads up to it and shows it", async ({ chat, rill, page }) => {
  const id = await saveLong(rill, { messages: 600 });
  const { messages } = await new Store(rill).get(id);
  await page.goto(`c/${id}?message=${messages[301]!.id}`);
  await expect(chat.send).toBeEnabled({ timeout: 20_000 });
  await expect(page).toHaveURL(new RegExp(`/c/${id}$`));
  await expect(page.getByText("Answer 301 begins.")).toBeInViewport({ timeout: 20_000 });
  // The end is there, too, so that one can go on.
  await page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(page.getByText("So ends answer 599.")).toBeInViewport();
});

test("a place that a search found is shown", async ({ chat, rill, page }) => {
  await openLong(rill, page, 600);
  await chat.listed();
  await chat.sidebar.getByRole("searchbox", { name: "Search conversations" }).fill("answer 201");
  await chat.sidebar.getByRole("link", { name: /A long talk/ }).first().click();
  await expect(page.getByText("Answer 201 begins.")).toBeInViewport({ timeout: 20_000 });
});

test("what another tab says far from what is loaded here is shown", async ({ upstream, rill, page }) => {
  const id = await openLong(rill, page, 300);
  const { messages } = await new Store(rill).get(id);
  upstream.willAnswer(["From far away."]);
  const response = await fetch(`${rill.url}/api/conversations/${id}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ request_id: "0190a0a0-0000-7000-8000-00000000000a", content: "Begun elsewhere", parent: messages[99]!.id }),
  });
  await response.text();
  await expect(page.locator("article.question").last()).toContainText("Begun elsewhere");
  await expect(page.locator("article.reply").last()).toContainText("From far away.");
});

test("where earlier messages cannot be loaded, one is told and can try again", async ({ rill, page, guard }) => {
  guard.allow(/path/);
  const id = await saveLong(rill, { messages: 300 });
  await page.route("**/api/conversations/path", (route) => route.abort());
  await page.goto(`c/${id}`);
  await expect(page.locator(".send")).toBeEnabled({ timeout: 20_000 });
  const again = page.getByRole("link", { name: "Earlier messages could not be loaded. Try again" });
  await scrollUpTo(page, again);
  await page.unroute("**/api/conversations/path");
  await again.click();
  await expect(page.getByText("Question 240?", { exact: true })).toBeAttached();
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("links lead to what was said before, and back to the end", async ({ rill, page }) => {
    const id = await saveLong(rill, { messages: 120 });
    await page.goto(`c/${id}`);
    await expect(page.getByText("So ends answer 119.")).toBeAttached();
    await expect(page.getByText("Question 68?", { exact: true })).toHaveCount(0);
    await page.getByRole("link", { name: "Earlier messages" }).click();
    await expect(page.getByText("Question 68?", { exact: true })).toBeAttached();
    await page.getByRole("link", { name: "Earlier messages" }).click();
    await expect(page.getByText("Question 0?", { exact: true })).toBeAttached();
    await expect(page.getByRole("link", { name: "Earlier messages" })).toHaveCount(0);
    await page.getByRole("link", { name: "Latest messages" }).click();
    await expect(page.getByText("So ends answer 119.")).toBeAttached();
  });
});
