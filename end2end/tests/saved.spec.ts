/** A conversation is never lost: whatever happens to the page, page, store and upstream agree. */
import type { Page } from "@playwright/test";

import { Chat } from "../chat.ts";
import { seededRandom, words } from "../random.ts";
import { expect, test } from "../fixtures.ts";
import type { Rill } from "../rill.ts";
import { Store } from "../store.ts";
import type { Upstream } from "../upstream.ts";

/** Expects that the page shows, and the server has saved, exactly what the upstream sent; once. */
async function expectAgreement(chat: Chat, rill: Rill, upstream: Upstream, requests = 1): Promise<void> {
  expect(upstream.exchanges.length, "requests to the model").toBe(requests);
  const sent = upstream.exchanges.at(-1)!.sent.map(({ text }) => text).join("");
  await chat.expectText(chat.answers.last(), sent);
  await expect.poll(async () => (await new Store(rill).reply()).text).toBe(sent);
}

test("ten reloads during a reply lose nothing", async ({ chat, upstream, rill, page }) => {
  test.slow();
  const pieces = words(100);
  const random = seededRandom(20_261_124);
  const reloads = new Set<number>();
  while (reloads.size < 10) reloads.add(Math.floor(random() * pieces.length));
  upstream.willWait();
  await chat.open();
  await chat.ask("Tell me while I reload");
  for (const [number, piece] of pieces.entries()) {
    await upstream.send(piece);
    if (reloads.has(number)) {
      await page.reload({ waitUntil: "commit" });
      // The whole prefix is there at once, and the page goes on from it.
      await chat.expectText(chat.answer(), pieces.slice(0, number + 1).join(""));
    }
  }
  await upstream.finish();
  await chat.finished();
  await expectAgreement(chat, rill, upstream);
  await page.reload();
  await chat.ready();
  await expectAgreement(chat, rill, upstream);
});

test("a reply has its address from its first word on, whatever of the page is still on its way", async ({ chat, upstream, rill, page }) => {
  const synchronise = /\/pkg\/split_synchronise/;
  let isHeld = false;
  await page.route(synchronise, () => void (isHeld = true));
  await chat.open();
  await chat.ask("Where are you?");
  await upstream.send("Here");
  await chat.expectText(chat.answer(), "Here");
  await expect(page).toHaveURL(/\/c\/[0-9a-f-]{36}$/);
  expect(isHeld, "that file was asked for").toBe(true);
  await page.unroute(synchronise);
  await page.reload({ waitUntil: "commit" });
  await chat.expectText(chat.answer(), "Here");
  await upstream.send(" and there.");
  await upstream.finish();
  await chat.finished();
  await expectAgreement(chat, rill, upstream);
});

test("leaving the page does not stop a saved reply, and coming back shows it whole", async ({ chat, upstream, rill, page }) => {
  await chat.open();
  await chat.ask("I shall be gone for a while");
  await upstream.send("It begins, ");
  await expect(chat.answer()).toContainText("It begins");
  const address = page.url();
  await page.goto("about:blank");
  await upstream.send("goes on ");
  await upstream.send("and ends.");
  await upstream.finish();
  await page.goto(address);
  await chat.ready();
  await expectAgreement(chat, rill, upstream);
  expect(upstream.exchanges[0]!.closedByClientAt).toBeUndefined();
});

test("a conversation has its address at once, and back and forward lead through", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["The first answer."]);
  upstream.willAnswer(["The second answer."]);
  await chat.open();
  await chat.ask("The first conversation");
  await chat.finished();
  await expect(page).toHaveURL(/\/c\/[0-9a-f-]{36}$/);
  const first = page.url();
  await chat.newChat.click();
  await expect(page).toHaveURL(/\/$/);
  await chat.ask("The second conversation");
  await chat.finished();
  const second = page.url();
  expect(second).not.toBe(first);
  let loads = 0;
  page.on("load", () => (loads += 1));
  await page.goBack();
  await expect(chat.questions).toHaveCount(0);
  await page.goBack();
  await expect(page).toHaveURL(first);
  await chat.expectText(chat.answer(), "The first answer.");
  await page.goForward();
  await page.goForward();
  await expect(page).toHaveURL(second);
  await chat.expectText(chat.answer(), "The second answer.");
  expect(loads, "nothing was loaded anew").toBe(0);
});

test("two clicks on Send ask once", async ({ chat, upstream, rill }) => {
  upstream.willAnswer(["Once."]);
  await chat.open();
  await chat.composer.fill("Asked with two clicks");
  await chat.send.dblclick();
  await chat.finished();
  await expectAgreement(chat, rill, upstream);
  await expect(chat.questions).toHaveCount(1);
});

test("a second tab sees the reply grow, and its Stop stops it in both", async ({ chat, upstream, rill, page, context }) => {
  await chat.open();
  await chat.ask("Tell it to both of us");
  await upstream.send("Both see this");
  await expect(chat.answer()).toContainText("Both see this");
  const other = await second(page, chat);
  await other.expectText(other.answer(), "Both see this");
  await upstream.send(", and this");
  for (const one of [chat, other]) await one.expectText(one.answer(), "Both see this, and this");
  await other.stop.click();
  await upstream.closedByClient();
  for (const one of [chat, other]) {
    await expect(one.answer()).toContainText("Stopped");
    await expect(one.send).toBeVisible();
  }
  await expectAgreement(chat, rill, upstream);
  expect((await new Store(rill).reply()).state).toEqual({ done: { finish: "stopped" } });
  void context;
});

test("what one tab asks, the other shows", async ({ chat, upstream, rill, page }) => {
  upstream.willAnswer(["The first answer."]);
  upstream.willAnswer(["The second answer."]);
  await chat.open();
  await chat.ask("The first question");
  await chat.finished();
  const other = await second(page, chat);
  await other.expectText(other.answer(), "The first answer.");
  await other.ask("The second question");
  await other.finished();
  await expect(chat.questions).toHaveCount(2);
  await chat.expectText(chat.answer(2), "The second answer.");
  await expectAgreement(chat, rill, upstream, 2);
});

test("Stop before the first text is saved as such", async ({ chat, upstream, rill }) => {
  upstream.willHang();
  await chat.open();
  await chat.ask("Never mind, after all");
  await upstream.request(1);
  await chat.stop.click();
  await upstream.closedByClient();
  await expect(chat.answer()).toContainText("Stopped");
  await expect.poll(async () => (await new Store(rill).reply()).state).toEqual({ done: { finish: "stopped" } });
  expect((await new Store(rill).reply()).text).toBe("");
});

test("versions, branches and the path that is shown survive a reload", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["The first version."]);
  upstream.willAnswer(["The second version."]);
  upstream.willAnswer(["Of the other question."]);
  await chat.open();
  await chat.ask("A question with versions");
  await chat.finished();
  await chat.answer().hover();
  await chat.answer().getByRole("button", { name: "Regenerate" }).click();
  await chat.expectText(chat.answer(), "The second version.");
  await chat.finished();
  await page.reload();
  await chat.ready();
  await chat.expectText(chat.answer(), "The second version.");
  await expect(chat.answer()).toContainText("2 of 2");
  const noted = page.waitForResponse(/\/api\/conversations\/show$/);
  await chat.answer().getByRole("button", { name: "Previous version" }).click();
  await noted;
  await page.reload();
  await chat.ready();
  await chat.expectText(chat.answer(), "The first version.");
  await chat.question(1).hover();
  await chat.question(1).getByRole("button", { name: "Edit" }).click();
  await chat.finishEdit("A question with versions", "Another question");
  await chat.expectText(chat.answer(), "Of the other question.");
  await chat.finished();
  await page.reload();
  await chat.ready();
  await chat.expectText(chat.question(1), "Another question");
  await expect(chat.question(1)).toContainText("2 of 2");
});

test("Continue goes on where the limit of tokens cut the answer off", async ({ chat, upstream, rill, page }) => {
  upstream.willAnswer(["The first half "], { finish: "length" });
  upstream.willAnswer(["and the second half."]);
  await chat.open();
  await chat.ask("Tell me more than fits");
  await expect(chat.answer()).toContainText(/limit/);
  await chat.answer().hover();
  await chat.answer().getByRole("button", { name: "Continue" }).click();
  await chat.expectText(chat.answer(), "The first half and the second half.");
  await chat.finished();
  await expect(chat.answers).toHaveCount(1);
  await expect.poll(async () => (await new Store(rill).reply()).text).toBe("The first half and the second half.");
  await page.reload();
  await chat.ready();
  await chat.expectText(chat.answer(), "The first half and the second half.");
});

test("a conversation that does not exist is said to be missing", async ({ chat, page, guard }) => {
  guard.allow(/404/);
  const answer = await page.goto("c/0190a0a0-0000-7000-8000-000000000000");
  expect(answer!.status()).toBe(404);
  await expect(page.getByText("There is no such conversation.")).toBeVisible();
  await chat.ready();
  await page.getByRole("link", { name: "Begin a new one" }).click();
  await expect(page).toHaveURL(/\/$/);
  await expect(chat.composer).toBeVisible();
});

test.describe("a temporary chat", () => {
  test("is never saved, and ends with the page", async ({ chat, upstream, rill, page }) => {
    await chat.open();
    await chat.temporary();
    await chat.ask("Between the two of us");
    await upstream.send("Still here");
    await expect(chat.answer()).toContainText("Still here");
    await expect(page).toHaveURL(/\/$/);
    expect(await new Store(rill).list()).toEqual([]);
    const left = Date.now();
    await page.close();
    expect((await upstream.closedByClient()) - left).toBeLessThan(1000);
    expect(await new Store(rill).list()).toEqual([]);
  });

  test("that New chat put aside can be brought back", async ({ chat, upstream, page }) => {
    upstream.willAnswer(["An answer worth keeping."]);
    await chat.open();
    await chat.temporary();
    await chat.ask("An old question here");
    await chat.finished();
    await chat.newChat.click();
    await page.getByRole("button", { name: "Back to the previous chat" }).click();
    await chat.expectText(chat.question(1), "An old question here");
    await chat.expectText(chat.answer(), "An answer worth keeping.");
  });
});

/** The same conversation in another tab. */
async function second(page: Page, chat: Chat): Promise<Chat> {
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  const other = new Chat(tab, page.context());
  await expect(other.conversation).toBeVisible();
  await expect(other.stop.or(other.send)).toBeEnabled();
  void chat;
  return other;
}
