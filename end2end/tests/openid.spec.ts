/** Signing in by OpenID Connect, with the certified provider of npm. */
import type { BrowserContext, Page } from "@playwright/test";
import { AxeBuilder } from "@axe-core/playwright";

import { expect, limits, test as base } from "../fixtures.ts";
import { OpenIdProvider, SECRET, signInAtProvider } from "../openid.ts";
import type { Rill } from "../rill.ts";

const test = base.extend<{ provider: OpenIdProvider; person: Page }>({
  provider: async ({}, use) => {
    const provider = await OpenIdProvider.listen();
    await use(provider);
    await provider.close();
  },
  flags: async ({ provider }, use) => {
    await use(["--access", "accounts", "--config", provider.config('allow = "domains"\ndomains = ["example.com"]'), ...limits({})]);
  },
  environment: { RILL_OPENID_SECRET: SECRET },
  person: async ({ browser, rill, provider }, use) => {
    provider.serve(rill.url);
    // Without an admin the server is not set up.
    const [link] = (await rill.command("user", "invite", "root@example.com", "--admin")).split("\n");
    const admin = await browser.newPage();
    await admin.goto(link!.replace(/^.*(?=\/invite\/)/, rill.url));
    await admin.getByLabel("Password").fill("tidal window forks");
    await admin.getByRole("button", { name: "Create the account" }).click();
    await admin.close();
    // The pages for signing in need no script.
    const context = await browser.newContext({ javaScriptEnabled: false });
    await use(await context.newPage());
    await context.close();
  },
});

/** Begins to sign in at Rill, to see the account. */
async function begin(page: Page, rill: Rill): Promise<void> {
  await page.goto(`${rill.url}/account`);
  await page.getByRole("link", { name: "Sign in with Example" }).click();
}

async function signIn(page: Page, rill: Rill, name: string): Promise<void> {
  await begin(page, rill);
  await signInAtProvider(page, name);
}

async function expectSignedIn(page: Page, email: string): Promise<void> {
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
  await expect(page.getByText(email).first()).toBeVisible();
}

async function expectRefused(page: Page, rill: Rill, reason: string): Promise<void> {
  await expect(page.getByRole("alert")).toHaveText("You could not be signed in.");
  expect(rill.log).toContain(reason);
  expect(await hasSession(page.context())).toBe(false);
}

async function hasSession(context: BrowserContext): Promise<boolean> {
  return (await context.cookies()).some(({ name, value }) => name === "rill" && value !== "");
}

test("a person signs in by the provider, out again at both, and in again after the keys have changed", async ({ person, provider, rill }) => {
  await signIn(person, rill, "ann");
  await expectSignedIn(person, "ann@example.com");
  await person.getByRole("button", { name: "Sign out", exact: true }).last().click();
  // The provider asks.
  await person.getByRole("button", { name: "Yes, sign me out" }).click();
  await expect(person).toHaveURL(`${rill.url}/signin`);
  expect(await hasSession(person.context())).toBe(false);
  await begin(person, rill);
  await expect(person.getByPlaceholder("Enter any login")).toBeVisible();
  provider.rotate();
  await signIn(person, rill, "ann");
  await expectSignedIn(person, "ann@example.com");
});

test("a nonce of another attempt lets nobody in", async ({ person, provider, rill }) => {
  provider.onRequest = (query) => query.set("nonce", "of another attempt");
  await signIn(person, rill, "ann");
  await expectRefused(person, rill, "wrong nonce");
});

test("an answer of another issuer lets nobody in", async ({ person, provider, rill }) => {
  provider.onReturn = (url) => url.searchParams.set("iss", "https://evil.test");
  await signIn(person, rill, "ann");
  await expectRefused(person, rill, "wrong issuer");
});

test("a code lets in once", async ({ person, provider, rill, browser }) => {
  await signIn(person, rill, "ann");
  await expectSignedIn(person, "ann@example.com");
  const code = provider.returns[0]!.searchParams.get("code")!;
  provider.onReturn = (url) => url.searchParams.set("code", code);
  const context = await browser.newContext();
  const other = await context.newPage();
  await signIn(other, rill, "eve");
  await expectRefused(other, rill, "does not take the code: invalid_grant");
  // Nor does the address that led Ann back.
  await other.goto(provider.returns[0]!.href);
  await expectRefused(other, rill, "wrong state");
  await context.close();
});

test("the pages for signing in by a provider are accessible", async ({ provider, rill, person, browser }) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  provider.onRequest = (query) => query.set("nonce", "another");
  await page.goto(`${rill.url}/signin`);
  await expect(page.getByRole("link", { name: "Sign in with Example" })).toBeVisible();
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
  await signIn(page, rill, "ann");
  await expectRefused(page, rill, "wrong nonce");
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
  await context.close();
  await person.close();
});
