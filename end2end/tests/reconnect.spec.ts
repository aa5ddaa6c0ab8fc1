/** The page finds its way back to a reply by itself, and not a character is missing, doubled or misplaced. */
import { Chat } from "../chat.ts";
import { seededRandom, words } from "../random.ts";
import { expect, test } from "../fixtures.ts";
import { Proxy } from "../proxy.ts";
import { Store } from "../store.ts";

/** What a browser says of a network that is gone. */
const NETWORK = /ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|NETWORK_CHANGED|SOCKET_NOT_CONNECTED)|Failed to fetch/;

for (const seed of [1, 2, 3]) {
  test(`a network that comes and goes at random (${seed}) loses nothing`, async ({ chat, upstream, rill, context, guard }) => {
    test.slow();
    guard.allow(NETWORK);
    const random = seededRandom(seed);
    const pieces = words(120);
    await chat.open();
    await chat.ask("Tell me through all tunnels");
    await upstream.request(1);
    let isOffline = false;
    for (const piece of pieces) {
      await upstream.send(piece);
      if (random() < 0.12) {
        isOffline = !isOffline;
        await context.setOffline(isOffline);
      }
    }
    await context.setOffline(false);
    await upstream.finish();
    await chat.finished();
    await chat.expectText(chat.answer(), pieces.join(""));
    await expect.poll(async () => (await new Store(rill).reply()).text).toBe(pieces.join(""));
    expect(upstream.exchanges.length).toBe(1);
  });
}

test("a file of the page that was lost with the network comes with it", async ({ chat, upstream, context, page, guard }) => {
  guard.allow(NETWORK);
  guard.allow(/ERR_FAILED/);
  let isBroken = true;
  await page.route(/\/pkg\/split_show_messages/, (route) => (isBroken ? route.abort() : route.continue()));
  upstream.willAnswer(["It came ", "all the same."]);
  await chat.open();
  await chat.ask("Can you hear me?");
  await expect(chat.alert).toContainText("A part of this page could not be loaded");
  await context.setOffline(true);
  isBroken = false;
  await context.setOffline(false);
  await chat.expectText(chat.answer(), "It came all the same.");
  await chat.finished();
});

test("a server that is killed and comes back: what it saved is shown, marked, and can go on", async ({ chat, upstream, rill, guard, page }) => {
  test.slow();
  guard.allow(NETWORK);
  await chat.open();
  await chat.ask("Tell me while you can");
  await upstream.send("Half a sentence");
  await expect(chat.answer()).toContainText("Half a sentence");
  // At most a second is lost in a crash; this has been written.
  await expect.poll(() => rill.hasWritten("Half a sentence")).toBe(true);
  await rill.crash();
  await expect(page.getByText("Connection lost, resuming").first()).toBeVisible();
  await chat.expectText(chat.answer(), "Half a sentence");
  await rill.restart();
  await expect(chat.answer()).toContainText(/server stopped/i);
  await chat.expectText(chat.answer(), "Half a sentence");
  expect((await new Store(rill).reply()).text).toBe("Half a sentence");
  await expect(chat.answer().getByRole("button", { name: "Continue" })).toBeVisible();
  upstream.willAnswer([" and the other half."]);
  await chat.answer().getByRole("button", { name: "Continue" }).click();
  await chat.expectText(chat.answer(), "Half a sentence and the other half.");
  await chat.finished();
  await expect.poll(async () => (await new Store(rill).reply()).text).toBe("Half a sentence and the other half.");
});

test("an answer that was lost on its way asks the model once", async ({ page, context, upstream, rill, guard }) => {
  guard.allow(/./);
  const proxy = await Proxy.before(rill);
  try {
    proxy.lose = 2;
    upstream.willAnswer(["Asked once."]);
    await page.goto(`${proxy.url}/`);
    const chat = new Chat(page, context);
    await chat.ready();
    await chat.ask("Is anybody listening?");
    await chat.finished();
    await chat.expectText(chat.answer(), "Asked once.");
    expect(proxy.lose).toBe(0);
    expect(upstream.exchanges.length).toBe(1);
    expect((await new Store(rill).list()).length).toBe(1);
  } finally {
    await proxy.close();
  }
});

test("a proxy that holds the text back is noticed, and the page says what to set", async ({ page, context, upstream, rill, guard }) => {
  guard.allow(/request to another host/);
  const proxy = await Proxy.before(rill);
  try {
    await page.goto(`${proxy.url}/`);
    const chat = new Chat(page, context);
    await chat.ready();
    proxy.holdMs = 2_600;
    await chat.ask("Does this come in bursts?");
    await upstream.send("It does.");
    await expect(page.getByText(/proxy_buffering off/)).toBeVisible();
    await upstream.finish();
    await chat.finished();
    await chat.expectText(chat.answer(), "It does.");
  } finally {
    await proxy.close();
  }
});

test("a tab that is hidden lets its connection go, and shows all when it is seen again", async ({ chat, upstream, page }) => {
  test.slow();
  await page.clock.install();
  await chat.open();
  await chat.ask("Tell me while I look elsewhere");
  await upstream.send("Seen, ");
  await page.clock.runFor(1_000);
  await expect(chat.answer()).toContainText("Seen,");
  let isClosed = false;
  page.on("requestfailed", (request) => (isClosed ||= /messages|events/.test(request.url())));
  const show = (state: "hidden" | "visible") =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await show("hidden");
  await page.clock.runFor(15_000);
  await expect.poll(() => isClosed, { message: "the connection was let go" }).toBe(true);
  await upstream.send("unseen, ");
  await upstream.send("and all.");
  await show("visible");
  await page.clock.runFor(1_000);
  await chat.expectText(chat.answer(), "Seen, unseen, and all.");
  await upstream.finish();
  await chat.finished();
  expect(upstream.exchanges.length).toBe(1);
});
