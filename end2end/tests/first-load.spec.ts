/** The first visit is small and the second nearly free. */
import { expect, test } from "../fixtures.ts";

/** What a first visit may transfer in all. */
const LIMIT_BYTES = 200_000;
/** The same for a build without `--split`, in which what renders replies is no file of its own. */
const UNSPLIT_LIMIT_BYTES = 420_000;

test("a first visit transfers less than 200 KB", async ({ chat }) => {
  const devtools = await chat.devtools();
  await devtools.send("Network.enable");
  const sizes = new Map<string, number>();
  const names = new Map<string, string>();
  devtools.on("Network.responseReceived", ({ requestId, response }) => {
    const encoding = Object.entries(response.headers).find(([name]) => name.toLowerCase() === "content-encoding")?.[1] ?? "plain";
    names.set(requestId, `${new URL(response.url).pathname} (${encoding})`);
  });
  devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
  // The stream of changes stays open, so the network is never idle.
  await chat.page.goto("./");
  await chat.ready();

  const lines = [...sizes].map(([id, bytes]) => `${bytes.toLocaleString("en").padStart(9)}  ${names.get(id) ?? id}`);
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  console.log(`first visit: ${total.toLocaleString("en")} bytes\n${lines.join("\n")}`);
  test.info().annotations.push({ type: "first visit", description: `${total} bytes` });
  const wasm = [...names.values()].filter((name) => name.includes(".wasm"));
  expect(wasm).toHaveLength(1);
  expect(wasm[0]).toContain("(br)");
  expect(total).toBeGreaterThan(10_000);
  const isSplit = [...names.values()].some((name) => name.includes("__wasm_split"));
  expect(total).toBeLessThan(isSplit ? LIMIT_BYTES : UNSPLIT_LIMIT_BYTES);
});

test("files with a hash in their name are kept for ever, the page is not", async ({ page, chat, rill }) => {
  const cached = new Map<string, string>();
  page.on("response", async (response) => {
    cached.set(new URL(response.url()).pathname, response.headers()["cache-control"] ?? "");
  });
  await chat.open();
  const files = [...cached].filter(([path]) => path.startsWith(`${rill.base}/pkg/`));
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const [path, control] of files) {
    expect(path).toMatch(/\.[\w-]{8,}\.(js|wasm|css)$/);
    expect(control, path).toContain("immutable");
    expect(control, path).toMatch(/max-age=31536000/);
  }
  expect(cached.get(`${rill.base}/`)).toContain("no-store");
});

test("a second visit loads no file again", async ({ chat, page, rill }) => {
  await chat.open();
  const devtools = await chat.devtools();
  await devtools.send("Network.enable");
  const asked = new Map<string, string>();
  const kept = new Set<string>();
  devtools.on("Network.requestWillBeSent", ({ requestId, request }) => asked.set(requestId, new URL(request.url).pathname));
  devtools.on("Network.requestServedFromCache", ({ requestId }) => kept.add(requestId));
  devtools.on("Network.responseReceived", ({ requestId, response }) => {
    if (response.fromDiskCache) kept.add(requestId);
  });
  await page.goto("./");
  await chat.ready();
  const files = [...asked].filter(([, path]) => path.startsWith(`${rill.base}/pkg/`));
  expect(files.length).toBeGreaterThanOrEqual(3);
  expect(files.filter(([id]) => !kept.has(id)).map(([, path]) => path)).toEqual([]);
});

test("every file that the page and its manifest name is there", async ({ page, chat, rill }) => {
  await chat.open();
  const named = await page.locator("link[href], script[src]").evaluateAll((elements) =>
    elements.map((element) => element.getAttribute("href") ?? element.getAttribute("src") ?? ""),
  );
  const address = `${rill.url}/manifest.webmanifest`;
  const manifest = (await (await page.request.get(address)).json()) as { start_url: string; icons: { src: string }[] };
  const inManifest = [manifest.start_url, ...manifest.icons.map((icon) => icon.src)].map((path) => new URL(path, address).href);
  expect(inManifest[0]).toBe(`${rill.url}/`);
  for (const path of [...named, ...inManifest]) {
    expect((await page.request.get(path)).status(), path).toBe(200);
  }
});
