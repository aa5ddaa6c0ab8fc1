/** The scripted upstream is only worth what it really does: it is tested by itself, without a page. */
import { expect, test } from "@playwright/test";

import { frame } from "../exchange.ts";
import { Upstream } from "../upstream.ts";

let upstream: Upstream;

test.beforeEach(async () => {
  upstream = await Upstream.listen();
});

test.afterEach(async () => {
  await upstream.close();
});

function ask(content: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${upstream.url}/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer sk-1", "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content }], stream: true, stream_options: { include_usage: true } }),
    ...(signal ? { signal } : {}),
  });
}

test("it plays what was planned in order, and repeats the last", async () => {
  upstream.willFail(429, { error: { code: "rate_limit_exceeded" } }, { "retry-after": "1" });
  upstream.willAnswer(["Hel", "lo"]);
  const refused = await ask("one");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
  for (const question of ["two", "three"]) {
    const body = await (await ask(question)).text();
    expect(body.startsWith(frame("Hel") + frame("lo"))).toBe(true);
    expect(body).toContain('"finish_reason":"stop"');
    expect(body).toContain('"usage":');
    expect(body.endsWith("data: [DONE]\n\n")).toBe(true);
  }
  expect(upstream.exchanges.map(({ history }) => history)).toEqual([["user: one"], ["user: two"], ["user: three"]]);
  expect((await upstream.request(1)).headers.authorization).toBe("Bearer sk-1");
});

test("without a plan the test releases every piece", async () => {
  const asked = ask("one");
  await upstream.send("a");
  const reader = (await asked).body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe(frame("a"));
  await upstream.send("b");
  expect((await reader.read()).value).toBe(frame("b"));
  await upstream.finish();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
  expect(rest).toContain("[DONE]");
  // The next piece waits for the next request.
  let isSent = false;
  const sent = upstream.send("c").then(() => (isSent = true));
  await fetch(`${upstream.url}/models`);
  expect(isSent).toBe(false);
  const second = await ask("two");
  await sent;
  await upstream.cut();
  await expect(second.text()).rejects.toThrow();
});

test("it tells when a client leaves, also before any answer", async () => {
  for (const script of [() => upstream.willHang(), () => upstream.willHangAfter("Hel")]) {
    script();
    const leave = new AbortController();
    const number = upstream.exchanges.length + 1;
    const asked = ask("one", leave.signal).catch((error: Error) => error.name);
    await upstream.request(number);
    const left = Date.now();
    leave.abort();
    await asked;
    expect(await upstream.closedByClient()).toBeGreaterThanOrEqual(left);
  }
});

test("a cut is an end without the last chunk, and not the client's doing", async () => {
  upstream.willCutAfter("Hel");
  const response = await ask("one");
  await expect(response.text()).rejects.toThrow();
  expect((await upstream.request(1)).closedByClientAt).toBeUndefined();
});
