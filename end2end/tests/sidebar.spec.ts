/** The conversations beside the one that is open: found, renamed, pinned, deleted, exported, by mouse and keys. */
import { readFile } from "node:fs/promises";
import type { Locator } from "@playwright/test";
import { AxeBuilder } from "@axe-core/playwright";

import type { Chat } from "../chat.ts";
import { expect, test } from "../fixtures.ts";
import { Store } from "../store.ts";
import type { Upstream } from "../upstream.ts";

/** Has this conversation, from its question to the end of its answer. */
async function talk(chat: Chat, upstream: Upstream, question: string, answer: string): Promise<void> {
  upstream.willAnswer([answer]);
  await chat.newChat.click();
  await chat.ask(question);
  await chat.finished();
}

/** Opens the menu of a conversation. */
async function menu(chat: Chat, title: RegExp): Promise<Locator> {
  await chat.listed();
  const entry = chat.entry(title);
  await entry.hover();
  await entry.getByRole("button", { name: "Conversation menu" }).click();
  return chat.page.getByRole("menu");
}

test("conversations stand by day, the newest first, and lead to themselves", async ({ chat, upstream }) => {
  await chat.open();
  await expect(chat.sidebar).toBeVisible();
  await talk(chat, upstream, "About apples", "Apples are round.");
  await talk(chat, upstream, "About pears", "Pears are not.");
  await expect(chat.sidebar.getByRole("heading", { name: "Today" })).toBeVisible();
  await expect(chat.entries).toHaveCount(2);
  await expect(chat.entries.first()).toContainText("About pears");
  await expect(chat.entries.first().getByRole("link")).toHaveAttribute("aria-current", "page");
  await chat.entry(/About apples/).getByRole("link").click();
  await chat.expectText(chat.answer(), "Apples are round.");
  await expect(chat.page).toHaveTitle(/About apples/);
});

test("a conversation that goes on elsewhere is marked until it was read", async ({ chat, upstream }) => {
  upstream.willWait();
  await chat.open();
  await chat.ask("Take your time with this");
  await upstream.send("It begins");
  await expect(chat.answer()).toContainText("It begins");
  await chat.newChat.click();
  const link = chat.entry(/Take your time/).getByRole("link");
  await expect(link).toHaveAccessibleName(/answering/);
  await upstream.finish();
  await expect(link).toHaveAccessibleName(/unread/);
  await link.click();
  await chat.expectText(chat.answer(), "It begins");
  await expect(link).not.toHaveAccessibleName(/unread|answering/);
});

test("the list follows what another tab does", async ({ chat, upstream, page, context }) => {
  await chat.open();
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
  await talk(chat, upstream, "Seen in both tabs", "Yes.");
  await expect(other.getByRole("navigation", { name: "Conversations" }).getByRole("link", { name: /Seen in both tabs/ })).toBeVisible();
});

test("a title is changed in its place", async ({ chat, upstream, rill, page }) => {
  await chat.open();
  await talk(chat, upstream, "A dull title", "An answer.");
  await (await menu(chat, /A dull title/)).getByRole("menuitem", { name: "Rename" }).click();
  const field = chat.sidebar.getByRole("textbox", { name: "Title" });
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("A dull title");
  await field.fill("A better one");
  await field.press("Enter");
  await expect(chat.entry(/A better one/)).toBeVisible();
  await expect(page).toHaveTitle(/A better one/);
  await expect.poll(async () => (await new Store(rill).list())[0]!.title).toBe("A better one");
  // Esc keeps the old one.
  await (await menu(chat, /A better one/)).getByRole("menuitem", { name: "Rename" }).click();
  await field.fill("Not this one");
  await field.press("Escape");
  await expect(chat.entry(/A better one/)).toBeVisible();
});

test("a pinned conversation stands above the others", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream, "The one to keep", "An answer.");
  await talk(chat, upstream, "A newer one", "An answer.");
  await (await menu(chat, /The one to keep/)).getByRole("menuitem", { name: "Pin", exact: true }).click();
  await expect(chat.sidebar.getByRole("heading", { name: "Pinned" })).toBeVisible();
  await expect(chat.entries.first()).toContainText("The one to keep");
  await page.reload();
  await chat.ready();
  await expect(chat.entries.first()).toContainText("The one to keep");
});

test("a change is stored although the page is reloaded in the same moment", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream, "The one to keep", "An answer.");
  await talk(chat, upstream, "A newer one", "An answer.");
  const pin = (await menu(chat, /The one to keep/)).getByRole("menuitem", { name: "Pin", exact: true });
  await Promise.all([
    page.waitForEvent("load"),
    pin.evaluate((item: HTMLElement) => {
      item.click();
      location.reload();
    }),
  ]);
  await chat.ready();
  await expect(chat.sidebar.getByRole("heading", { name: "Pinned" })).toBeVisible();
  await expect(chat.entries.first()).toContainText("The one to keep");
});

test("a conversation is deleted, and that can be taken back", async ({ chat, upstream, rill, page }) => {
  await chat.open();
  await talk(chat, upstream, "Deleted by mistake", "Precious words.");
  await (await menu(chat, /Deleted by mistake/)).getByRole("menuitem", { name: "Delete" }).click();
  await expect(chat.entries).toHaveCount(0);
  await expect(chat.answers).toHaveCount(0);
  await expect(page).toHaveURL(/\/$/);
  await expect(chat.status).toHaveText("Conversation deleted");
  await expect.poll(async () => (await new Store(rill).list()).length).toBe(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(chat.entry(/Deleted by mistake/)).toBeVisible();
  await chat.expectText(chat.answer(), "Precious words.");
  expect((await new Store(rill).list()).length).toBe(1);
});

test("a search finds words from their first letters on, and marks them", async ({ chat, upstream }) => {
  await chat.open();
  await talk(chat, upstream, "About apples", "The orchard is full of Braeburn.");
  await talk(chat, upstream, "About pears", "Only Williams here.");
  await talk(chat, upstream, "果物について", "りんごは赤いです。");
  const search = chat.sidebar.getByRole("searchbox", { name: "Search conversations" });
  await search.fill("brae");
  const hits = chat.entries;
  await expect(hits).toHaveCount(1);
  await expect(hits.locator("mark")).toHaveText(/brae/i);
  await hits.getByRole("link").click();
  await chat.expectText(chat.answer(), "The orchard is full of Braeburn.");
  await search.fill("果物");
  await expect(hits).toHaveCount(1);
  await search.fill("no such word");
  await expect(chat.sidebar.getByText("Nothing was found.")).toBeVisible();
  await search.press("Escape");
  await expect(search).toHaveValue("");
  await expect(chat.entries).toHaveCount(3);
});

test("all of it works with keys @desktop", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream, "Reached with keys", "An answer.");
  await chat.newChat.focus();
  await page.keyboard.press("Enter");
  await expect(chat.composer).toBeFocused();
  const entry = chat.entry(/Reached with keys/);
  await entry.getByRole("link").focus();
  await page.keyboard.press("Tab");
  await expect(entry.getByRole("button", { name: "Conversation menu" })).toBeFocused();
  await page.keyboard.press("Enter");
  const item = (name: string) => page.getByRole("menuitem", { name, exact: true });
  await expect(item("Rename")).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(item("Delete")).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await expect(item("Pin")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menu")).toHaveCount(0);
  await expect(entry.getByRole("button", { name: "Conversation menu" })).toBeFocused();
  await entry.getByRole("link").focus();
  await page.keyboard.press("Enter");
  await chat.expectText(chat.answer(), "An answer.");
});

test("a conversation is exported, and what was exported is imported", async ({ chat, upstream, rill, page }) => {
  await chat.open();
  await talk(chat, upstream, "Taken along", "Wherever you go.");
  const markdown = page.waitForEvent("download");
  await (await menu(chat, /Taken along/)).getByRole("menuitem", { name: "Export", exact: true }).click();
  const text = await readFile(await (await markdown).path(), "utf8");
  expect(text).toContain("Taken along");
  expect(text).toContain("Wherever you go.");
  const all = page.waitForEvent("download");
  await chat.chooseInMenu("Export all");
  const file = await (await all).path();
  await (await menu(chat, /Taken along/)).getByRole("menuitem", { name: "Delete" }).click();
  await expect(chat.entries).toHaveCount(0);
  await page.getByLabel("File to import").setInputFiles({ name: "rill.json", mimeType: "application/json", buffer: await readFile(file) });
  await expect(page.locator(".toast")).toContainText(/Imported 1 conversation with 2 messages/);
  await chat.entry(/Taken along/).getByRole("link").click();
  await chat.expectText(chat.answer(), "Wherever you go.");
  expect((await new Store(rill).list()).length).toBe(1);
});

test("a file that is no export is refused with a sentence, and changes nothing", async ({ chat, rill, page, guard }) => {
  guard.allow(/40\d|413|422/);
  await chat.open();
  // Who turns to the sidebar makes it live.
  await chat.sidebar.hover();
  await expect(chat.sidebar).toHaveAttribute("aria-busy", "false");
  await page.getByLabel("File to import").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from("no JSON at all") });
  await expect(page.locator(".toast")).toContainText(/\w+ .*\./);
  expect(await new Store(rill).list()).toEqual([]);
});

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme });

    test("axe finds nothing wrong with the list, its menu and a search", async ({ chat, upstream, page }) => {
      await chat.open();
      await talk(chat, upstream, "Looked at closely", "An answer to look at.");
      const check = async (what: string) => {
        await chat.drawn();
        const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
        expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${what}: ${id}: ${html}`))).toEqual([]);
      };
      await menu(chat, /Looked at closely/);
      await check("with a menu");
      await page.keyboard.press("Escape");
      await chat.sidebar.getByRole("searchbox").fill("look");
      await expect(chat.sidebar.locator("mark").first()).toBeVisible();
      await check("with a search");
    });
  });
}

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true });

  test("the list is a drawer that Esc, its outside and a choice close", async ({ chat, upstream, page }) => {
    await chat.open();
    await talk(chat, upstream, "In the drawer", "An answer.");
    await chat.newChat.click();
    await expect(chat.sidebar).toBeHidden();
    const open = page.getByRole("button", { name: "Show conversations" });
    await open.click();
    await expect(chat.sidebar).toBeVisible();
    await expect(chat.sidebar.locator(":focus")).toHaveCount(1);
    await page.keyboard.press("Escape");
    await expect(chat.sidebar).toBeHidden();
    await expect(open).toBeFocused();
    await open.click();
    await page.mouse.click(380, 400);
    await expect(chat.sidebar).toBeHidden();
    await open.click();
    await chat.entry(/In the drawer/).getByRole("link").click();
    await expect(chat.sidebar).toBeHidden();
    await chat.expectText(chat.answer(), "An answer.");
  });
});
