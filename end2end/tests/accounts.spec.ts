/** People with accounts: two in two browsers at once, each with conversations of their own. */
import type { Browser, Page } from "@playwright/test";
import { AxeBuilder } from "@axe-core/playwright";

import { Chat } from "../chat.ts";
import { expect, limits, test } from "../fixtures.ts";
import type { Rill } from "../rill.ts";

test.use({ flags: ["--access", "accounts", ...limits({})] });

const PASSWORD = "tidal window forks";

/** Lets a person in by a link of the command line, in a browser of the person's own. */
async function join(browser: Browser, rill: Rill, email: string, ...flags: string[]): Promise<Chat> {
  const context = await browser.newContext({ baseURL: `${rill.url}/` });
  const page = await context.newPage();
  const [link] = (await rill.command("user", "invite", email, ...flags)).split("\n");
  await page.goto(link!);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create the account" }).click();
  await expect(page).toHaveURL(`${rill.url}/`);
  return new Chat(page, context);
}

async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("two people in two browsers have conversations of their own", async ({ browser, rill, upstream }) => {
  upstream.willAnswer(["An answer for Ann."]);
  const ann = await join(browser, rill, "ann@example.com", "--admin");
  const bob = await join(browser, rill, "bob@example.com");
  await ann.ready();
  await bob.ready();
  await ann.ask("A question of Ann");
  await ann.finished();
  await expect(ann.entry(/A question of Ann/)).toBeVisible();
  // A second tab of the same person shows the same; the other person has nothing.
  const tab = await ann.page.context().newPage();
  await tab.goto(ann.page.url());
  await expect(new Chat(tab, ann.page.context()).answer()).toContainText("An answer for Ann.");
  await bob.page.reload();
  await bob.ready();
  await expect(bob.entries).toHaveCount(0);
  const foreign = await bob.page.goto(ann.page.url());
  expect(foreign?.status()).toBe(404);
  await ann.page.context().close();
  await bob.page.context().close();
});

test("signing in works without a script, and loads none of the page", async ({ browser, rill }) => {
  const joined = await join(browser, rill, "ann@example.com", "--admin");
  await joined.page.context().close();
  const context = await browser.newContext({ baseURL: `${rill.url}/`, javaScriptEnabled: false });
  const page = await context.newPage();
  const paths: string[] = [];
  page.on("request", (request) => paths.push(new URL(request.url()).pathname));
  await page.goto("account");
  await expect(page).toHaveURL(/\/signin\?next=/);
  await signIn(page, "ann@example.com", "not the password");
  await expect(page.getByRole("alert")).toContainText("do not belong together");
  await signIn(page, "ann@example.com", PASSWORD);
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
  expect(paths.filter((path) => path.includes("/pkg/"))).toEqual([]);
  await page.getByRole("button", { name: "Sign out", exact: true }).last().click();
  await expect(page).toHaveURL(/\/signin$/);
  await context.close();
});

test("one signs out by the menu of the page, and other tabs follow", async ({ browser, rill }) => {
  const ann = await join(browser, rill, "ann@example.com", "--admin");
  await ann.ready();
  const tab = await ann.page.context().newPage();
  await tab.goto(rill.url);
  await new Chat(tab, ann.page.context()).ready();
  await ann.page.getByRole("button", { name: "ann@example.com" }).click();
  await ann.page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(ann.page).toHaveURL(/\/signin$/);
  await expect(tab).toHaveURL(/\/signin\?next=/);
  await ann.page.context().close();
});

test("the pages of accounts are accessible, on a phone and in the dark as well", async ({ browser, rill }) => {
  const joined = await join(browser, rill, "ann@example.com", "--admin");
  const cookies = await joined.page.context().cookies();
  await joined.page.context().close();
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({ baseURL: `${rill.url}/`, colorScheme, viewport: { width: 360, height: 700 } });
    const page = await context.newPage();
    for (const path of ["signin", "account", "people", "people/audit"]) {
      if (path === "account") await context.addCookies(cookies);
      await page.goto(path);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id }) => id), path).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(360);
    }
    await context.close();
  }
});

test("a session that the command line revokes ends the page's stream within a second", async ({ browser, rill, upstream }) => {
  upstream.willWait();
  const ann = await join(browser, rill, "ann@example.com", "--admin");
  await ann.ready();
  await ann.ask("Tell me something long");
  await upstream.send("It begins");
  await ann.expectText(ann.answer(), "It begins");
  await rill.command("session", "revoke", "ann@example.com");
  // The page goes there by itself.
  await expect(ann.page).toHaveURL(/\/signin\?next=/);
  // The reply is finished all the same.
  await upstream.send(" and ends.");
  await upstream.finish();
  await signIn(ann.page, "ann@example.com", PASSWORD);
  await ann.expectText(ann.answer(), "It begins and ends.");
  await ann.page.context().close();
});
