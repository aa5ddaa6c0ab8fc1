/**
 * How much work a reply is while it streams, in the browser: Rill's own page against its release build, and
 * pages that show the same stream with react-markdown and streamdown, one after the other in one run.
 *
 *   npm run bench --prefix end2end/bench -- [--deltas 1000,5000,20000] [--rate 200,1000,0] [--texts mixed,code]
 *                                           [--renderers rill,streamdown,react-markdown,text-node] [--slow 4]
 *
 * A rate of 0 is as fast as they come. Figures of different machines or runs do not compare. The heap is that of
 * JavaScript; WebAssembly's memory is beside it.
 */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "@playwright/test";

import { pieces, texts } from "./texts.mjs";

const { values } = parseArgs({
  options: {
    deltas: { type: "string", default: "1000,5000" },
    rate: { type: "string", default: "1000" },
    texts: { type: "string", default: texts.join(",") },
    renderers: { type: "string", default: "rill,streamdown,react-markdown" },
    slow: { type: "string", default: "1" },
  },
});
const list = (name) => values[name].split(",");
const root = resolve(import.meta.dirname, "../..");
const KEY_EVERY_MS = 200;

/** What streams next, and when its last byte left, in Unix milliseconds. */
const plan = { pieces: [], rate: 0, lastByteAt: 0 };

/** Waits until the last byte has left. */
async function ended() {
  while (plan.lastByteAt === 0) await new Promise((later) => setTimeout(later, 10));
}

/** Writes the pieces at the planned rate, each in the form that `frame` gives it. */
async function play(response, frame, end) {
  const begun = performance.now();
  let sent = 0;
  while (sent < plan.pieces.length) {
    const due = plan.rate === 0 ? sent + 2000 : Math.floor(((performance.now() - begun) / 1000) * plan.rate) + 1;
    const now = plan.pieces.slice(sent, due);
    sent += now.length;
    const flowing = response.write(now.map(frame).join(""));
    if (!flowing) await new Promise((drained) => response.once("drain", drained));
    else await new Promise((later) => setTimeout(later, plan.rate === 0 ? 0 : 4));
    if (response.destroyed) return;
  }
  plan.lastByteAt = Date.now();
  response.end(end);
}

const server = createServer(async (request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  if (path === "/v1/chat/completions") {
    for await (const _ of request);
    const chunk = (choice) => `data: ${JSON.stringify({ object: "chat.completion.chunk", model: "bench", choices: [choice] })}\n\n`;
    response.writeHead(200, { "content-type": "text/event-stream" });
    await play(
      response,
      (text) => chunk({ index: 0, delta: { content: text }, finish_reason: null }),
      `${chunk({ index: 0, delta: {}, finish_reason: "stop" })}data: [DONE]\n\n`,
    );
  } else if (path === "/v1/models") {
    response.writeHead(200, { "content-type": "application/json" }).end('{"object":"list","data":[{"id":"bench","object":"model"}]}');
  } else if (path === "/stream") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    await play(response, (text) => `data: ${JSON.stringify(text)}\n\n`, "");
  } else if (/^\/[\w-]+\.(js|css)$/.test(path)) {
    const type = path.endsWith(".js") ? "text/javascript" : "text/css";
    response.writeHead(200, { "content-type": type }).end(await readFile(new URL(`dist${path}`, import.meta.url)));
  } else {
    response.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/peers.css"><div id="root"></div><script type="module" src="/peers.js"></script>');
  }
}).listen(0, "127.0.0.1");
await new Promise((ready) => server.once("listening", ready));
const home = `http://127.0.0.1:${server.address().port}`;

/** Rill's release build with this process as its provider. */
async function startRill() {
  const folder = mkdtempSync(join(tmpdir(), "rill-bench-"));
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const child = spawn(process.env["RILL_BIN"] ?? join(root, "target/release/rill"), ["--listen", `127.0.0.1:${port}`], {
    cwd: folder,
    env: { LEPTOS_SITE_ROOT: join(root, "target/site"), OPENAI_BASE_URL: `${home}/v1`, OPENAI_API_KEY: "sk-bench", RILL_DATA_DIR: folder, RUST_LOG: "error" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  for (let left = 200; ; left -= 1) {
    if (await fetch(`${url}/healthz`).then((answer) => answer.ok, () => false)) break;
    if (left === 0) throw new Error("rill did not start");
    await new Promise((again) => setTimeout(again, 50));
  }
  return { url, stop: () => (child.kill(), rmSync(folder, { recursive: true, force: true })) };
}

/** Runs in the page: notes frames, long tasks, key presses and the last change of the text. */
function observe() {
  const notes = { frames: [], longest: 0, keys: [], lastChangeAt: 0, length: 0 };
  window.notes = notes;
  let last = performance.now();
  const frame = (now) => {
    notes.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((entries) => {
    for (const entry of entries.getEntries()) notes.longest = Math.max(notes.longest, entry.duration);
  }).observe({ entryTypes: ["longtask"] });
  document.addEventListener("keydown", (key) => {
    const pressed = key.timeStamp;
    // Until the picture that shows it: the next frame, and what is drawn in it.
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => notes.keys.push(performance.now() - pressed);
      port2.postMessage(0);
    });
  }, true);
  const length = (nodes) => [...nodes].reduce((sum, node) => sum + node.textContent.length, 0);
  new MutationObserver((records) => {
    // Colours that are put to words that stand there already are no change of the text.
    const ofText = records.filter(({ target }) => (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)?.closest("[data-text]"));
    const grown = ofText.reduce((sum, record) => sum + length(record.addedNodes) - length(record.removedNodes), 0);
    if (grown !== 0 || ofText.some((record) => record.type === "characterData")) notes.lastChangeAt = Date.now();
  }).observe(document.querySelector("[role=log], [data-text]"), { childList: true, characterData: true, subtree: true });
}

/** Waits until the page has loaded nothing more for a while. Rill keeps a connection open, so it is never idle. */
async function settled(page) {
  const loaded = () => page.evaluate(() => performance.getEntriesByType("resource").length);
  for (let before = -1, now = await loaded(); now !== before; ) {
    await new Promise((later) => setTimeout(later, 500));
    [before, now] = [now, await loaded()];
  }
}

const quantile = (numbers, q) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * q))] ?? Number.NaN;

async function measure(browser, renderer, kind, count, rate, slow) {
  plan.pieces = pieces(kind, count);
  plan.rate = rate;
  plan.lastByteAt = 0;
  const rill = renderer === "rill" ? await startRill() : undefined;
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  try {
    await page.goto(rill ? rill.url : `${home}/${renderer}`);
    const composer = page.getByRole("textbox", { name: "Message" });
    if (rill) await page.getByRole("button", { name: "Send" }).and(page.locator(":enabled")).waitFor();
    else await page.waitForFunction(() => window.ready);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    if (slow > 1) await devtools.send("Emulation.setCPUThrottlingRate", { rate: slow });
    const read = async () => Object.fromEntries((await devtools.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
    await page.evaluate(observe);
    // Playwright puts a large script of its own into the page when it first waits there.
    await page.waitForFunction(() => window.notes);
    await composer.focus();
    // The peers' pages have loaded all that they need; Rill's loads the rest when somebody begins to write.
    if (rill) await composer.pressSequentially("Go", { delay: 50 });
    await settled(page);
    const before = await read();
    if (rill) await composer.press("Enter");
    else await page.evaluate(() => void window.startReply());
    // Keys are pressed while text streams, not while it is asked for.
    await page.waitForFunction(() => [...document.querySelectorAll("[data-text]")].some((text) => text.textContent !== ""), undefined, { polling: 50 });
    await page.evaluate(() => void (window.notes.keys.length = 0));
    const deadline = Date.now() + 120_000 + (rate ? (count / rate) * 1000 : 0);
    while (Date.now() < deadline) {
      if (plan.lastByteAt === 0) {
        await page.keyboard.press("x");
        await Promise.race([ended(), new Promise((later) => setTimeout(later, KEY_EVERY_MS))]);
        continue;
      }
      // The last byte has left; what is still to be shown takes its time.
      await new Promise((later) => setTimeout(later, 60));
      const last = await page.evaluate(() => window.notes.lastChangeAt);
      if (Date.now() - Math.max(last, plan.lastByteAt) > 150) break;
    }
    const after = await read();
    await devtools.send("HeapProfiler.collectGarbage");
    const heap = (await read()).JSHeapUsedSize / 1e6;
    const notes = await page.evaluate(() => {
      const shown = [...document.querySelectorAll("[data-text]")].at(-1);
      return {
        ...window.notes,
        length: shown?.textContent.length ?? 0,
        elements: shown?.querySelectorAll("*").length ?? 0,
        // What is not on the screen costs less, so all have to follow the text.
        follows: shown ? Math.abs(shown.getBoundingClientRect().bottom - innerHeight) < innerHeight / 2 : false,
      };
    });
    if (!notes.follows) throw new Error(`${renderer} does not show the end of the text`);
    return {
      renderer, text: kind, deltas: count, rate: rate || "max", slow,
      "cpu ms/1000": Math.round(((after.TaskDuration - before.TaskDuration) * 1e6) / count),
      "script": Math.round(((after.ScriptDuration - before.ScriptDuration) * 1e6) / count),
      "layout+style": Math.round(((after.LayoutDuration + after.RecalcStyleDuration - before.LayoutDuration - before.RecalcStyleDuration) * 1e6) / count),
      "longest task": Math.round(notes.longest) || "<50",
      "gap p95": Math.round(quantile(notes.frames, 0.95)),
      "gap max": Math.round(Math.max(...notes.frames)),
      "key p95": Math.round(quantile(notes.keys, 0.95)),
      "lag ms": notes.lastChangeAt - plan.lastByteAt,
      "heap MB": Math.round(heap * 10) / 10,
      elements: notes.elements, length: notes.length,
    };
  } finally {
    await page.close();
    rill?.stop();
  }
}

if (!existsSync(new URL("dist/peers.js", import.meta.url))) throw new Error("run it with npm run bench, which bundles the peers' pages");
const executablePath = process.env["CHROMIUM_PATH"] ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const browser = await chromium.launch({
  ...(executablePath ? { executablePath } : {}),
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
const rows = [];
// The first page of a browser has it look up the fonts, for all that come after it.
await measure(browser, "text-node", "mixed", 1000, 1000, 1);
for (const rate of list("rate").map(Number)) {
  for (const kind of list("texts")) {
    for (const count of list("deltas").map(Number)) {
      for (const renderer of list("renderers")) {
        const row = await measure(browser, renderer, kind, count, rate, Number(values.slow));
        rows.push(row);
        console.log(JSON.stringify(row));
      }
    }
  }
}
await browser.close();
server.close();
server.closeAllConnections();
console.table(rows);
