/** Whatever goes wrong is said once, in words, without losing a text; and can be tried again where that helps. */
import { expect, limits, test } from "../fixtures.ts";
import type { Exchange } from "../exchange.ts";
import { freePort } from "../rill.ts";
import type { Upstream } from "../upstream.ts";

interface Case {
  /** What the provider does, as the name of the test. */
  when: string;
  plan: (upstream: Upstream) => void;
  /** What the server's log calls it. */
  kind: string;
  /** What a person reads. */
  says: RegExp;
  retry: "offered" | "not offered";
  /** How often the provider is asked before the error is shown. */
  requests?: number;
  /** What of the answer stays on the screen. */
  keeps?: string;
  /** The time limit that it runs into. */
  limit?: Parameters<typeof limits>[0];
}

const failure = (code: string, message = "scripted failure") => ({ error: { message, type: "scripted", code } });

async function commentForEver(exchange: Exchange): Promise<void> {
  await exchange.text("Half a sen");
  while (!exchange.isClosed) {
    await exchange.raw(": keep-alive\n\n");
    await new Promise((next) => setTimeout(next, 100));
  }
}

const cases: Case[] = [
  { when: "refuses the key (401)", plan: (u) => u.willFail(401, failure("invalid_api_key", "Incorrect API key provided: sk-proj-abcd")), kind: "auth", says: /key/i, retry: "not offered" },
  { when: "forbids it (403)", plan: (u) => u.willFail(403, failure("unsupported_country_region_territory")), kind: "auth", says: /key|refused|allow/i, retry: "not offered" },
  { when: "wants to be paid (402)", plan: (u) => u.willFail(402, failure("402", "Insufficient credits")), kind: "quota", says: /credit|quota/i, retry: "not offered" },
  { when: "has no credit left (429)", plan: (u) => u.willFail(429, failure("insufficient_quota"), { "x-should-retry": "false" }), kind: "quota", says: /credit|quota/i, retry: "not offered" },
  { when: "does not know the model (404)", plan: (u) => u.willFail(404, failure("model_not_found")), kind: "model_not_found", says: /model/i, retry: "not offered" },
  { when: "does not understand the request (400)", plan: (u) => u.willFail(400, failure("invalid_value")), kind: "bad_request", says: /./, retry: "not offered" },
  { when: "finds the conversation too long (400)", plan: (u) => u.willFail(400, failure("context_length_exceeded")), kind: "context_length", says: /long/i, retry: "not offered" },
  { when: "fails again and again (500)", plan: (u) => u.willFail(500), kind: "upstream_error", says: /./, retry: "offered", requests: 3 },
  { when: "is broken behind a proxy (502 with HTML)", plan: (u) => u.willReply(502, "<h1>502 Bad Gateway</h1>", { "content-type": "text/html" }), kind: "upstream_error", says: /./, retry: "offered", requests: 3 },
  { when: "is overloaded (503)", plan: (u) => u.willFail(503), kind: "overloaded", says: /./, retry: "offered", requests: 3 },
  { when: "redirects to another host", plan: (u) => u.willReply(302, "", { location: "http://evil.test/v1/chat/completions" }), kind: "upstream_redirect", says: /redirect|another/i, retry: "not offered" },
  { when: "never answers", plan: (u) => u.willHang(), kind: "upstream_timeout_first_byte", says: /./, retry: "offered", limit: { firstByte: "1s" } },
  { when: "sends headers and no text", plan: (u) => u.will((exchange) => exchange.begin()), kind: "upstream_timeout_first_byte", says: /./, retry: "offered", limit: { firstByte: "1s" } },
  { when: "falls silent in the middle", plan: (u) => u.willHangAfter("Half a sen"), kind: "upstream_timeout_idle", says: /./, retry: "offered", keeps: "Half a sen", limit: { idle: "500ms" } },
  { when: "sends nothing but comments in the middle", plan: (u) => u.will(commentForEver), kind: "upstream_timeout_idle", says: /./, retry: "offered", keeps: "Half a sen", limit: { idle: "500ms", comment: "2s" } },
  { when: "cuts the connection in the middle", plan: (u) => u.willCutAfter("Half a ", "sen"), kind: "upstream_cut", says: /./, retry: "offered", keeps: "Half a sen" },
  { when: "ends without saying that it is the end", plan: (u) => u.willSendAfter(["Half a sen"], ""), kind: "upstream_cut", says: /./, retry: "offered", keeps: "Half a sen" },
  { when: "reports an error in the middle", plan: (u) => u.willSendAfter(["Half a sen"], `data: ${JSON.stringify(failure("server_error"))}\n\n`), kind: "upstream_error", says: /./, retry: "offered", keeps: "Half a sen" },
  { when: "sends broken JSON in the middle", plan: (u) => u.willSendAfter(["Half a sen"], 'data: {"choices":[{"del\n\n'), kind: "upstream_malformed", says: /./, retry: "offered", keeps: "Half a sen" },
  { when: "sends an empty stream", plan: (u) => u.willSendAfter([], ""), kind: "upstream_empty", says: /./, retry: "offered" },
  { when: "sends a login page", plan: (u) => u.willReply(200, "<!doctype html><title>Sign in</title>", { "content-type": "text/html" }), kind: "upstream_not_stream", says: /./, retry: "offered" },
];

/** What a browser says of a server that is gone; the page asks it for changes as long as it is open. */
const GONE = /ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|CONNECTION_REFUSED|EMPTY_RESPONSE|NETWORK_CHANGED)|Failed to fetch/;

for (const { when, plan, kind, says, retry, requests = 1, keeps = "", limit = {} } of cases) {
  test.describe(() => {
    test.use({ flags: limits(limit) });

    test(`a provider that ${when} is explained`, async ({ chat, upstream, rill }) => {
      plan(upstream);
      await chat.open();
      await chat.ask("What could go wrong?");
      await expect(chat.alert).toHaveText(says);
      await expect(chat.alert).toHaveCount(1);
      expect(await chat.alert.innerText(), "a sentence of ours, with nothing of the provider's").not.toMatch(/scripted failure|sk-|evil\.test|<|http|127\.0\.0\.1/);
      await expect(chat.answer().getByRole("button", { name: "Retry" })).toHaveCount(retry === "offered" ? 1 : 0);
      if (keeps) await chat.expectText(chat.answer(), keeps);
      await expect(chat.cursor).toHaveCount(0);
      await expect(chat.send).toBeVisible();
      await expect(chat.question(1)).toContainText("What could go wrong?");
      expect(upstream.exchanges.length).toBe(requests);
      await expect.poll(() => rill.log).toContain(kind);
    });
  });
}

test("an error is told to screen readers in the words that are on the screen", async ({ chat, upstream }) => {
  upstream.willFail(401, failure("invalid_api_key"));
  await chat.open();
  await chat.ask("What could go wrong?");
  await expect(chat.alert).toBeVisible();
  await expect(chat.status).toHaveText((await chat.alert.innerText()).trim());
});

test.describe("with little time for a whole reply", () => {
  test.use({ flags: limits({ total: "2s" }) });

  test("one that goes on and on is ended, and its text stays", async ({ chat, upstream, rill }) => {
    upstream.willAnswer(Array.from({ length: 1000 }, () => "on and on "), { everyMs: 50 });
    await chat.open();
    await chat.ask("Do not come to an end");
    await expect(chat.alert).toBeVisible();
    await expect(chat.answer()).toContainText("on and on on and on");
    await expect(chat.answer().getByRole("button", { name: "Retry" })).toBeVisible();
    await expect.poll(() => rill.log).toContain("upstream_timeout_total");
  });
});

test("a rate limit that passes soon is never seen", async ({ chat, upstream }) => {
  upstream.willFail(429, failure("rate_limit_exceeded"), { "retry-after": "1" });
  upstream.willAnswer(["All is well."]);
  await chat.open();
  await chat.ask("Are you busy just now?");
  await chat.finished();
  await chat.expectText(chat.answer(), "All is well.");
  await expect(chat.alert).toHaveCount(0);
  expect(upstream.exchanges.length).toBe(2);
});

test("a long rate limit counts down and then offers to try again", async ({ chat, upstream }) => {
  upstream.willFail(429, failure("rate_limit_exceeded"), { "retry-after": "90" });
  upstream.willAnswer(["Now I can."]);
  await chat.page.clock.install();
  await chat.open();
  await chat.ask("Are you busy for long?");
  await chat.page.clock.runFor(500);
  await expect(chat.alert).toBeVisible();
  const waits = chat.answer().getByText(/\b(1:[0-3]\d|[89]\d s|1 min)/);
  await expect(waits).toBeVisible();
  const before = await waits.innerText();
  await chat.page.clock.runFor(5_000);
  await expect(waits).not.toHaveText(before);
  expect(upstream.exchanges.length).toBe(1);
  await chat.page.clock.runFor(90_000);
  await chat.answer().getByRole("button", { name: "Retry" }).click();
  await chat.page.clock.resume();
  await chat.finished();
  await chat.expectText(chat.answer(), "Now I can.");
});

for (const { failing, plan } of [
  { failing: "before any text", plan: (u: Upstream) => u.willFail(500) },
  { failing: "in the middle of the text", plan: (u: Upstream) => u.willCutAfter("Half a sen") },
]) {
  test(`Retry asks the same again after an error ${failing}`, async ({ chat, upstream }) => {
    plan(upstream);
    await chat.open();
    await chat.ask("Please answer this time");
    await expect(chat.alert).toBeVisible();
    const failed = upstream.exchanges.length;
    upstream.willAnswer(["A whole sentence."]);
    await chat.answer().getByRole("button", { name: "Retry" }).click();
    await chat.finished();
    await expect(chat.alert).toHaveCount(0);
    await chat.expectText(chat.answers.last(), "A whole sentence.");
    await expect(chat.questions).toHaveCount(1);
    expect((await upstream.request(failed + 1)).history).toEqual(["user: Please answer this time"]);
  });
}

test("after an error the conversation goes on", async ({ chat, upstream }) => {
  upstream.willCutAfter("Half a sen");
  upstream.willAnswer(["The second answer."]);
  await chat.open();
  await chat.ask("The first question");
  await expect(chat.alert).toBeVisible();
  await chat.ask("The second question");
  await chat.finished();
  const second: Exchange = await upstream.request(2);
  expect(second.history[0]).toBe("user: The first question");
  expect(second.history.at(-1)).toBe("user: The second question");
});

test("a server that is gone gives the message back", async ({ chat, rill, guard }) => {
  // The file that shows messages cannot be had any more, either.
  guard.allow(GONE);
  await chat.open();
  await rill.kill();
  await chat.ask("Words that took me long to write");
  await expect(chat.alert).toBeVisible();
  await expect(chat.composer).toHaveValue("Words that took me long to write");
  await expect(chat.send).toBeVisible();
});

test("where the file that shows messages does not come, that is said, and it can be tried again", async ({ chat, page, upstream, guard }) => {
  guard.allow(/ERR_FAILED|Failed to fetch/);
  let isBroken = true;
  await page.route(/\/pkg\/split_/, (route) => (isBroken ? route.abort() : route.continue()));
  upstream.willAnswer(["It was ", "never lost."]);
  await chat.open();
  await chat.ask("Does this get lost?");
  await expect(chat.alert).toContainText("A part of this page could not be loaded");
  isBroken = false;
  await chat.alert.getByRole("button", { name: "Try again" }).click();
  await chat.expectText(chat.answer(), "It was never lost.");
  await chat.finished();
  await expect(chat.alert).toHaveCount(0);
});

test("a server that dies in the middle leaves the text, and the page says that it tries to resume", async ({ chat, upstream, rill, guard }) => {
  guard.allow(GONE);
  await chat.open();
  await chat.ask("Tell me while you can");
  await upstream.send("Half a sen");
  await expect(chat.answer()).toContainText("Half a sen");
  await rill.kill();
  await expect(chat.status).toHaveText("Connection lost, resuming");
  await chat.expectText(chat.answer(), "Half a sen");
});

test("a server that shuts down lets the reply end and then says so", async ({ chat, upstream, rill, guard }) => {
  guard.allow(GONE);
  await chat.open();
  await chat.ask("Tell me before you go");
  await upstream.send("Half a sen");
  await expect(chat.answer()).toContainText("Half a sen");
  const ended = rill.terminate();
  await upstream.send("tence.");
  await expect(chat.answer()).toContainText("Half a sentence.");
  await upstream.finish();
  await chat.finished();
  expect(await ended).toBe(0);
});

test.describe("with a provider that is not there", () => {
  test.use({ environment: async ({}, use) => use({ OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1` }) });

  test("that is explained, with Retry", async ({ chat, rill }) => {
    await chat.open();
    await chat.ask("Is anybody there?");
    await expect(chat.alert).toBeVisible();
    await expect(chat.answer().getByRole("button", { name: "Retry" })).toBeVisible();
    await expect.poll(() => rill.log).toContain("upstream_unreachable");
  });
});
