/** Diagrams and pictures are code and links until a person asks for them, and then they can do nothing. */
import { once } from "node:events";
import { createServer, get, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { AxeBuilder } from "@axe-core/playwright";
import type { Request } from "@playwright/test";

import type { Chat } from "../chat.ts";
import { expect, test } from "../fixtures.ts";
import { BASE } from "../front.ts";
import type { Guard } from "../guard.ts";
import type { Rill } from "../rill.ts";
import type { Upstream } from "../upstream.ts";

const DIAGRAM = "graph TD\n  A[Begin] --> B[End]\n";
const inFence = (code: string) => `\`\`\`mermaid\n${code}\`\`\``;

/** Opens the page and lets the model answer with this. */
async function answered(chat: Chat, upstream: Upstream, text: string): Promise<void> {
  upstream.willAnswer([text]);
  await chat.open();
  await chat.ask("Show me something");
  await chat.finished();
}

const button = (chat: Chat, name: string) => chat.answer().getByRole("button", { name, exact: true });
const code = (chat: Chat) => chat.answer().locator("pre code");
const drawing = (chat: Chat) => chat.answer().frameLocator("iframe[title=Diagram]").locator("svg").first();

/** The paths that are asked for from now on, below that of the server. */
function paths(chat: Chat): string[] {
  const paths: string[] = [];
  chat.page.on("request", (request) => paths.push(new URL(request.url()).pathname.replace(BASE, "")));
  return paths;
}

test("a diagram is code until it is drawn, and can be code again", async ({ chat, upstream }) => {
  const asked = paths(chat);
  await answered(chat, upstream, inFence(DIAGRAM));
  await expect(code(chat)).toHaveText(DIAGRAM);
  expect(asked.filter((path) => path.startsWith("/diagram"))).toEqual([]);

  await button(chat, "Draw").click();
  await expect(drawing(chat)).toBeVisible();
  await expect(drawing(chat)).toContainText("Begin");
  await expect(code(chat)).toBeHidden();
  expect(asked.filter((path) => path.startsWith("/diagram"))).toEqual(["/diagram/page.html"]);
  const frame = chat.answer().locator("iframe");
  await expect(frame).toHaveAttribute("sandbox", "allow-scripts");
  // The frame is as high as what is drawn in it: nothing scrolls.
  await expect.poll(async () => (await frame.boundingBox())!.height).toBeGreaterThan((await drawing(chat).boundingBox())!.height);

  await button(chat, "Show code").click();
  await expect(code(chat)).toBeVisible();
  await expect(frame).toHaveCount(0);
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toContainText("Begin");
});

test("after a reload a diagram can be drawn as before", async ({ chat, upstream, page }) => {
  await answered(chat, upstream, inFence(DIAGRAM));
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toBeVisible();
  await page.reload();
  await chat.ready();
  await expect(code(chat)).toBeVisible();
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toContainText("Begin");
});

test("a diagram can be drawn when it is all there, while the reply goes on", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Write a diagram slowly");
  await upstream.send("```mermaid\ngraph TD\n  A[Begin] --> ");
  await expect(code(chat)).toContainText("Begin");
  await expect(button(chat, "Wrap")).toBeVisible();
  await expect(button(chat, "Draw")).toBeHidden();
  await upstream.send("B[End]\n```\n\nIt goes on");
  await expect(chat.answer()).toContainText("It goes on");
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toContainText("End");
  await upstream.send(" and on.");
  await expect(chat.answer()).toContainText("It goes on and on.");
  await upstream.finish();
  await chat.finished();
  await expect(drawing(chat)).toBeVisible();
});

for (const [what, source, sentence] of [
  ["a mistake in a line", "graph TD\n  A --> B\n  B --> {\n", "This diagram cannot be drawn: there is a mistake in line 3."],
  ["what is no diagram at all", "hello there\n", "This diagram cannot be drawn: there is a mistake in its code."],
] as const) {
  test(`${what} is said in words, and the code stays`, async ({ chat, upstream }) => {
    await answered(chat, upstream, inFence(source));
    await button(chat, "Draw").click();
    await expect(chat.alert).toHaveText(sentence);
    await expect(code(chat)).toBeVisible();
    await expect(chat.answer().locator("iframe")).toHaveCount(0);
    await expect(button(chat, "Draw")).toBeVisible();
  });
}

test("where what draws cannot be had, that is said, and the code stays", async ({ chat, upstream, page, guard }) => {
  guard.allow(/ERR_FAILED|Failed to load/);
  await answered(chat, upstream, inFence(DIAGRAM));
  await page.route("**/diagram/page.html", (route) => route.abort());
  await button(chat, "Draw").click();
  await expect(chat.alert).toHaveText("The diagram renderer could not be loaded: check the connection and try again.");
  await expect(code(chat)).toBeVisible();
  await page.unroute("**/diagram/page.html");
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toBeVisible();
  await expect(chat.alert).toHaveCount(0);
});

test("a drawing has the page's theme, also when that is changed", async ({ chat, upstream, page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await answered(chat, upstream, inFence(DIAGRAM));
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toBeVisible();
  const fill = () => drawing(chat).locator("g.node rect").first().evaluate((rect) => getComputedStyle(rect).fill);
  const light = await fill();
  await chat.openSettings();
  await page.getByRole("radio", { name: "Dark theme" }).check({ force: true });
  await expect.poll(fill).not.toBe(light);
  await page.getByRole("radio", { name: "System theme" }).check({ force: true });
  await expect.poll(fill).toBe(light);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(fill).not.toBe(light);
});

/** What models draw most, each in a few lines. */
const KINDS = {
  sequence: "sequenceDiagram\n  A->>B: GET /\n  B-->>A: 200 OK\n",
  class: "classDiagram\n  Animal <|-- Duck\n  Animal : +int age\n",
  state: "stateDiagram-v2\n  [*] --> Still\n  Still --> [*]\n",
  entities: "erDiagram\n  CUSTOMER ||--o{ ORDER : places\n",
  gantt: "gantt\n  dateFormat YYYY-MM-DD\n  A task :a1, 2026-01-01, 30d\n",
  pie: 'pie title Pets\n  "Dogs" : 386\n  "Cats" : 85\n',
  git: "gitGraph\n  commit\n  branch dev\n  commit\n",
  mindmap: "mindmap\n  root((mind))\n    One\n    Two\n",
  timeline: "timeline\n  2002 : One\n  2004 : Two\n",
  "what asks for ELK": "---\nconfig:\n  layout: elk\n---\ngraph LR\n  A --> B\n",
};

test("all that models draw is drawn, without anything else being loaded", async ({ chat, upstream }) => {
  await answered(chat, upstream, Object.values(KINDS).map(inFence).join("\n\n"));
  const asked = paths(chat);
  const count = Object.keys(KINDS).length;
  const draw = button(chat, "Draw");
  for (let left = count; left > 0; left -= 1) {
    await draw.first().click();
    await expect(button(chat, "Show code")).toHaveCount(count - left + 1);
  }
  await expect(chat.alert).toHaveCount(0);
  expect([...new Set(asked)]).toEqual(["/diagram/page.html"]);
});

const HOSTILE = `%%{init: {"securityLevel": "loose", "htmlLabels": true, "flowchart": {"htmlLabels": true}, "themeCSS": "* { background: url(https://evil.test/a) }"}}%%
graph LR
  A["<img src=https://evil.test/b onerror=alert(1)>"] --> B["<a href='https://evil.test/c'>x</a><script>alert(2)</script>"]
  B --> C["<iframe srcdoc='<script>alert(3)</script>'></iframe>"]
  click A href "javascript:alert(4)"
  click B href "https://evil.test/d" _top
  click C call alert("5")
`;

test("nothing that a diagram says comes alive", async ({ chat, upstream, guard }) => {
  // It is tried by what reads labels, and refused by the policy of its document.
  guard.allow(/console error: .*inline event handler/i);
  guard.allow(/security policy: (script-src-attr|img-src) blocked/);
  guard.allow(/console error: .*violates the following Content Security Policy/i);
  guard.allow(/request to another host: GET https:\/\/evil.test\/a$/);
  const abroad: Request[] = [];
  chat.page.on("request", (request) => request.url().includes("evil.test") && abroad.push(request));
  await answered(chat, upstream, inFence(HOSTILE));
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toContainText("img");
  const bad = await drawing(chat).evaluate((svg) =>
    [...svg.querySelectorAll("*")].flatMap((element) => [
      ...(/^(script|iframe|img|image|foreignObject|object|embed|form)$/i.test(element.localName) ? [element.localName] : []),
      ...[...element.attributes].filter(({ name }) => /^on|href|^target$/.test(name)).map(({ name, value }) => `${name}=${value}`),
    ]),
  );
  expect(bad).toEqual([]);
  for (const link of await drawing(chat).locator("a").all()) await link.click();
  await expect(drawing(chat)).toContainText("img");
  // What the browser tells of as a request has not left it.
  await expect.poll(() => abroad.map((request) => request.failure()?.errorText).filter((why) => why !== "csp")).toEqual([]);
});

test("the document of a diagram reaches neither the page nor the server", async ({ chat, upstream, guard }) => {
  guard.allow(/content security policy|security policy|evil\.test/i);
  await answered(chat, upstream, inFence(DIAGRAM));
  await button(chat, "Draw").click();
  await expect(drawing(chat)).toBeVisible();
  const reached = await drawing(chat).evaluate(async (_, base) => {
    const tries: [string, () => unknown][] = [
      ["the page", () => parent.document.body.textContent],
      ["storage", () => localStorage.length],
      ["cookies", () => document.cookie],
      ["the server", () => fetch(`${base}/api/models`).then(({ ok }) => ok)],
      ["the network by a picture", () => seen("img", { src: "https://evil.test/a" })],
      ["text as a script", () => seen("script", { textContent: "window.slippedIn = true" })],
      ["another document", () => seen("iframe", { src: `${base}/image?src=https%3A%2F%2Fevil.test%2Fb` })],
    ];
    /** What is not refused. */
    function seen(tag: string, what: object): Promise<void> {
      const element = Object.assign(document.createElement(tag), what);
      const fate = new Promise<void>((seen, refused) => {
        document.addEventListener("securitypolicyviolation", refused, { once: true });
        element.addEventListener("load", () => seen());
        if (tag === "script") setTimeout(() => "slippedIn" in window && seen());
      });
      document.body.append(element);
      return fate;
    }
    const reached = [];
    for (const [what, attempt] of tries) {
      try {
        await attempt();
        reached.push(what);
      } catch {
        // As it should be.
      }
    }
    return { origin: self.origin, reached };
  }, BASE);
  expect(reached).toEqual({ origin: "null", reached: [] });
});

/** A picture of another site, and who has asked for it. */
async function gallery(): Promise<AsyncDisposable & { url: string; asked: IncomingHttpHeaders[] }> {
  const asked: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers, url }, response) => {
    asked.push(headers);
    if (url !== "/picture.svg") return response.writeHead(404).end();
    return response.setHeader("content-type", "image/svg+xml").end('<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60"><rect width="120" height="60" fill="teal"/></svg>');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The picture that is shown under this name. */
const picture = (chat: Chat, name: string) => chat.answer().frameLocator(`iframe[title="${name}"]`).getByRole("img");

/** Lets a test ask for the picture. The script that is refused in its document is the one that watches every test. */
function allowPicture(guard: Guard, url: string): void {
  guard.allow(new RegExp(`request to another host: GET ${url}/`));
  guard.allow(/Blocked script execution in '[^']*\/image\?/);
}

test("a picture is a link until it is asked for, and then asked for once, without a referrer", async ({ chat, upstream, guard, page }) => {
  await using site = await gallery();
  allowPicture(guard, site.url);
  await answered(chat, upstream, `See ![a teal field](${site.url}/picture.svg) here.`);
  await expect(chat.answer().getByRole("link", { name: "a teal field" })).toHaveAttribute("href", `${site.url}/picture.svg`);
  expect(site.asked).toEqual([]);

  await button(chat, "Show image").click();
  await expect(picture(chat, "a teal field")).toBeVisible();
  await expect.poll(() => site.asked.length).toBe(1);
  expect(site.asked[0]!.referer).toBeUndefined();
  expect(site.asked[0]!.cookie).toBeUndefined();
  const frame = chat.answer().locator("iframe");
  await expect(frame).toHaveAttribute("sandbox", "");
  // The picture is drawn: its colour is on the screen.
  const shot = await frame.screenshot();
  const colour = await page.evaluate(async (base64) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${base64}`;
    await picture.decode();
    const canvas = document.createElement("canvas").getContext("2d")!;
    canvas.drawImage(picture, 0, 0);
    return [...canvas.getImageData(20, 20, 1, 1).data];
  }, shot.toString("base64"));
  expect(colour).toEqual([0, 128, 128, 255]);

  await button(chat, "Hide image").click();
  await expect(frame).toHaveCount(0);
  await expect(button(chat, "Show image")).toBeVisible();
  expect(site.asked.length).toBe(1);
});

test("after a reload a picture is a link again, and can be shown by keyboard", async ({ chat, upstream, guard, page }) => {
  await using site = await gallery();
  allowPicture(guard, site.url);
  await answered(chat, upstream, `![a field](${site.url}/picture.svg)`);
  await button(chat, "Show image").click();
  await expect.poll(() => site.asked.length).toBe(1);
  await page.reload();
  await chat.ready();
  await chat.answer().getByRole("link", { name: "a field" }).focus();
  await page.keyboard.press("Tab");
  await expect(button(chat, "Show image")).toBeFocused();
  expect(site.asked.length).toBe(1);
  await page.keyboard.press("Enter");
  await expect(picture(chat, "a field")).toBeVisible();
  await expect(button(chat, "Hide image")).toBeFocused();
});

test("a picture that is not there says where it was looked for", async ({ chat, upstream, guard }) => {
  await using site = await gallery();
  allowPicture(guard, site.url);
  guard.allow(/404/);
  await answered(chat, upstream, `![gone](${site.url}/gone.png)`);
  await button(chat, "Show image").click();
  await expect(picture(chat, "gone")).toHaveAccessibleName("The image at localhost");
});

test("only a picture of the web that is in no link has a button, and what is copied has none", async ({ chat, upstream }) => {
  await answered(chat, upstream, "One ![of the web](https://a.test/b.png), one ![by mail](mailto:a@b.test), one [![in a link](https://a.test/c.png)](https://a.test/d).");
  await expect(button(chat, "Show image")).toHaveCount(1);
  await expect(chat.answer().getByRole("link", { name: "in a link" })).toHaveAttribute("href", "https://a.test/d");
  expect(await chat.answer().locator("a a, a button").count()).toBe(0);
  const selected = await chat.answer().locator("[data-text]").evaluate((text) => {
    getSelection()!.selectAllChildren(text);
    return getSelection()!.toString();
  });
  expect(selected.trim()).toBe("One of the web, one by mail, one in a link.");
});

test("a picture cannot be used to ask our own server for anything", async ({ chat, upstream, rill, guard }) => {
  allowPicture(guard, rill.origin);
  guard.allow(/403|ERR_BLOCKED_BY_RESPONSE/);
  await answered(chat, upstream, `![free of charge](${rill.url}/api/chat?q=Spend)`);
  const refused = chat.page.waitForEvent("requestfailed", (request) => request.url() === `${rill.url}/api/chat?q=Spend`);
  await button(chat, "Show image").click();
  await refused;
  await expect.poll(() => rill.log, { message: "the server itself has refused it" }).toContain("not_allowed");
  expect(upstream.exchanges.length).toBe(1);
});

/** The rules of a document's policy, by name. */
async function policyOf(rill: Rill, path: string): Promise<Map<string, string>> {
  const response = await fetch(rill.url + path);
  expect(response.status, path).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/html/);
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  expect(response.headers.get("cross-origin-resource-policy")).toBe("same-origin");
  const rules = response.headers.get("content-security-policy")!.split("; ");
  return new Map(rules.map((rule) => [rule.split(" ")[0]!, rule.split(" ").slice(1).join(" ")]));
}

test("the documents of frames come with policies of their own", async ({ rill }) => {
  const closed = { "default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'self'" };
  const image = await policyOf(rill, "/image?src=https%3A%2F%2Fa.test%2Fb.png");
  expect(image.get("style-src")).toMatch(/^'nonce-[0-9a-f]{32}'$/);
  image.delete("style-src");
  expect(Object.fromEntries(image)).toEqual({ ...closed, sandbox: "", "img-src": "https: http:" });
  const diagram = await policyOf(rill, "/diagram/page.html");
  expect(diagram.get("script-src")).toMatch(/^'sha256-[A-Za-z0-9+/]{43}='$/);
  diagram.delete("script-src");
  expect(Object.fromEntries(diagram)).toEqual({ ...closed, sandbox: "allow-scripts", "style-src": "'unsafe-inline'", "img-src": "data:" });
  const page = await fetch(`${rill.url}/`);
  expect(page.headers.get("content-security-policy")).toContain(`frame-src ${rill.self};`);
  expect(page.headers.get("content-security-policy")).toContain(`img-src ${rill.self} data:;`);
});

test("only our own page is given them, and only addresses of the web are shown", async ({ rill }) => {
  for (const path of ["/image?src=https%3A%2F%2Fa.test%2Fb.png", "/diagram/page.html"]) {
    // With exactly these headers, which `fetch` would not send.
    const status = (headers: Record<string, string>) =>
      new Promise((resolve, reject) => {
        get(rill.url + path, { headers }, (response) => resolve(response.resume().statusCode)).on("error", reject);
      });
    expect(await status({ "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" })).toBe(200);
    for (const dest of ["iframe", "document", "image", "script"]) {
      expect(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": dest }), dest).toBe(403);
    }
  }
  for (const query of ["", "?src=", "?src=%2Fa.png", "?src=javascript%3Aalert(1)", "?src=data%3Aimage%2Fpng%3Bbase64%2CAA", "?src=file%3A%2F%2F%2Fetc%2Fpasswd", "?src=https%3A%2F%2Fa.test&src=b"]) {
    const response = await fetch(`${rill.url}/image${query}`);
    expect(response.status, query).toBe(400);
    expect(await response.json(), query).toEqual({
      error: { kind: "bad_request", message: "Only images at addresses that begin with http:// or https:// can be shown." },
    });
  }
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing wrong with a drawn diagram, a mistake and a picture in ${colorScheme}`, async ({ chat, upstream, guard, page }) => {
    await using site = await gallery();
    allowPicture(guard, site.url);
    await page.emulateMedia({ colorScheme });
    await answered(chat, upstream, `${inFence(DIAGRAM)}\n\n![a field](${site.url}/picture.svg)\n\n${inFence("nothing\n")}`);
    await button(chat, "Draw").first().click();
    await expect(drawing(chat)).toBeVisible();
    await button(chat, "Draw").click();
    await expect(chat.alert).toBeVisible();
    await button(chat, "Show image").click();
    await expect(picture(chat, "a field")).toBeVisible();
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().withRules(["color-contrast", "target-size", "button-name", "frame-title", "nested-interactive", "link-name", "scrollable-region-focusable"]).analyze();
    expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`))).toEqual([]);
  });
}
