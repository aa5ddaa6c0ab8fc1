/** The page is closed to what others could slip into it, and the server to other sites. */
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";

import { expect, test } from "../fixtures.ts";
import { KEY, type Rill } from "../rill.ts";

const question = JSON.stringify({ messages: [{ role: "user", content: "A question from outside" }] });

/** A request with exactly these headers, which `fetch` would not send. */
function post(rill: Rill, headers: Record<string, string>, body = question): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${rill.url}/api/chat`, { method: "POST", headers }, (response) => {
      resolve(response.statusCode!);
      response.destroy();
    });
    request.on("error", reject);
    request.end(body);
  });
}

test("the page comes with a strict policy", async ({ rill }) => {
  const { headers } = await fetch(`${rill.url}/`);
  const policy = new Map(headers.get("content-security-policy")!.split(";").map((rule) => rule.trim()).filter(Boolean).map((rule) => {
    const [name, ...sources] = rule.split(/\s+/);
    return [name!, sources];
  }));
  const all = [...policy.values()].flat();
  expect(all.filter((source) => ["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"].includes(source))).toEqual([]);
  expect(policy.get("default-src")).toBeDefined();
  expect(policy.get("script-src")).toContain("'wasm-unsafe-eval'");
  expect(policy.get("script-src")?.filter((source) => source.startsWith("'nonce-"))).toHaveLength(1);
  expect(policy.get("frame-ancestors")).toEqual(["'none'"]);
  expect(policy.get("base-uri") ?? []).toEqual(["'none'"]);
  expect(policy.get("object-src") ?? policy.get("default-src")).toEqual(["'none'"]);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("cache-control")).toContain("no-store");
});

test("every page has a nonce of its own, which its scripts carry", async ({ rill }) => {
  const nonces = new Set<string>();
  for (let visit = 0; visit < 3; visit += 1) {
    const response = await fetch(`${rill.url}/`);
    const nonce = /'nonce-([^']+)'/.exec(response.headers.get("content-security-policy")!)![1]!;
    const html = await response.text();
    const scripts = html.match(/<script\b[^>]*>/g) ?? [];
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect(script).toContain(`nonce="${nonce}"`);
    expect(html.match(/<[^>]+\s(?:on[a-z]+|style)=/g) ?? [], "inline handlers and styles").toEqual([]);
    nonces.add(nonce);
  }
  expect(nonces.size).toBe(3);
});

test("the policy does hold: a script that slipped in would not run", async ({ chat, guard }) => {
  guard.allow(/content security policy|security policy/i);
  await chat.open();
  const ran = await chat.page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.slippedIn = true";
    const refused = new Promise((resolve) => document.addEventListener("securitypolicyviolation", resolve, { once: true }));
    document.body.append(script);
    await refused;
    return "slippedIn" in window;
  });
  expect(ran).toBe(false);
});

test("what comes from another site is refused, and costs nothing", async ({ rill, upstream }) => {
  const json = { "content-type": "application/json" };
  const port = new URL(rill.url).port;
  const refused: [string, number, Record<string, string>][] = [
    ["another site", 403, { ...json, origin: "https://attacker.example" }],
    ["a sandboxed frame", 403, { ...json, origin: "null" }],
    ["another port of this machine", 403, { ...json, origin: "http://127.0.0.1:4000" }],
    ["another name of this machine", 403, { ...json, origin: `http://localhost:${port}` }],
    ["fetch metadata that says so", 403, { ...json, "sec-fetch-site": "cross-site" }],
    ["fetch metadata that says so, with a right origin", 403, { ...json, origin: rill.origin, "sec-fetch-site": "cross-site" }],
    ["a simple request of another site", 403, { "content-type": "text/plain", origin: "https://attacker.example" }],
    ["a form", 415, { "content-type": "application/x-www-form-urlencoded" }],
    ["text", 415, { "content-type": "text/plain" }],
    ["a name that leads here by rebinding", 421, { ...json, host: "evil.test" }],
  ];
  for (const [what, status, headers] of refused) expect(await post(rill, headers), what).toBe(status);
  expect(upstream.exchanges.length).toBe(0);
  upstream.willAnswer(["Welcome."]);
  expect(await post(rill, { ...json, origin: rill.origin, "sec-fetch-site": "same-origin" }), "the page itself").toBe(200);
});

test("a page of another site cannot ask", async ({ page, rill, upstream, guard }) => {
  guard.allow(/./);
  await using site = await otherSite();
  await page.goto(site.url);
  const attempts = 3;
  const outcomes = await page.evaluate(
    async ({ url, body }) => {
      // All the ways that a browser takes without asking the server first, and one that it does not.
      const attempts = [
        fetch(`${url}/api/chat`, { method: "POST", body, headers: { "content-type": "application/json" } }),
        fetch(`${url}/api/chat`, { method: "POST", body, mode: "no-cors" }),
        fetch(`${url}/api/chat`, { method: "POST", body: new URLSearchParams({ q: body }), mode: "no-cors", credentials: "include" }),
      ];
      const settled = await Promise.allSettled(attempts);
      return settled.map((result) => (result.status === "fulfilled" ? result.value.type : "refused"));
    },
    { url: rill.url, body: question },
  );
  expect(outcomes).toEqual(["refused", "refused", "refused"]);
  expect(upstream.exchanges.length).toBe(0);
  // They did reach the server; it is not the browser alone that kept them away.
  expect(rill.log.match(/not_allowed/g)).toHaveLength(attempts);
});

test("the page cannot be framed", async ({ page, rill, guard }) => {
  guard.allow(/./);
  await using site = await otherSite();
  await page.goto(site.url);
  await page.evaluate((url) => {
    const frame = document.createElement("iframe");
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
    frame.src = url;
    document.body.append(frame);
    return loaded;
  }, rill.url);
  expect(await page.frames()[1]!.content()).not.toContain("Rill");
});

/** A real page of another site, since a browser treats an invented one differently. */
async function otherSite(): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>Another site</title>"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test.describe("with the most talkative log", () => {
  test.use({ environment: { RUST_LOG: "trace" } });

  test("the log holds neither the key nor what was said", async ({ chat, upstream, rill }) => {
    upstream.willAnswer(["An answer that is nobody's business."]);
    await chat.open();
    await chat.ask("A question that is nobody's business");
    await chat.finished();
    // The guard of every test compares the log with all that was said; here it has much to read.
    expect(rill.log.length).toBeGreaterThan(1000);
    expect(rill.log).not.toContain(KEY);
  });
});

test("no file that is served holds the key, and no other file is served", async ({ rill, page, chat }) => {
  const bodies: Promise<string>[] = [];
  page.on("response", (response) => {
    // The stream of changes has no end that one could wait for.
    if (response.headers()["content-type"]?.startsWith("text/event-stream")) return;
    bodies.push(response.body().then((body) => body.toString("latin1"), () => ""));
  });
  await chat.open();
  const loaded = await Promise.all(bodies);
  expect(loaded.length).toBeGreaterThan(2);
  expect(loaded.filter((body) => body.includes(KEY))).toEqual([]);
  for (const path of ["/.env", "/.git/config", "/Cargo.toml", "/pkg/../../Cargo.toml", "/%2e%2e/Cargo.toml", "/pkg/..%2f..%2fCargo.toml", "/target/"]) {
    const status = await new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(rill.url);
      httpRequest({ hostname, port, path }, (response) => resolve(response.resume().statusCode!)).on("error", reject).end();
    });
    expect([400, 404], path).toContain(status);
  }
});
