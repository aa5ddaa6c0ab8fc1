/** Passkeys, with Chromium's virtual authenticator. */
import type { CDPSession, Page } from "@playwright/test";
import { AxeBuilder } from "@axe-core/playwright";

import { expect, limits, test as base } from "../fixtures.ts";

/** A browser whose device has a place for passkeys, and which has joined. */
const test = base.extend<{ page: Page; device: CDPSession; home: string; offers: boolean }>({
  flags: ["--access", "accounts", ...limits({})],
  // Browsers have no passkeys for an address of numbers.
  home: async ({ rill }, use) => use(rill.url.replace("127.0.0.1", "localhost")),
  device: async ({ page }, use) => {
    const device = await page.context().newCDPSession(page);
    await device.send("WebAuthn.enable");
    await device.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await use(device);
  },
  // Chromium's virtual authenticator takes each offer at once.
  offers: [false, { option: true }],
  page: async ({ browser, rill, home, offers }, use) => {
    const context = await browser.newContext();
    if (!offers) await context.addInitScript("PublicKeyCredential.isConditionalMediationAvailable = async () => false");
    const page = await context.newPage();
    const [link] = (await rill.command("user", "invite", "ann@example.com", "--admin")).split("\n");
    await page.goto(link!.replace(/^.*(?=\/invite\/)/, home));
    await page.getByLabel("Password").fill("tidal window forks");
    await page.getByRole("button", { name: "Create the account" }).click();
    await page.goto(`${home}/account`);
    await use(page);
    await context.close();
  },
});

async function addPasskey(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page.getByRole("status").filter({ hasText: "The passkey is added." })).toBeVisible();
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sign out", exact: true }).last().click();
  await expect(page.getByLabel("Email")).toBeVisible();
}

test("a passkey is added, signs in without a name, and is removed", async ({ page, device, home, rill }) => {
  expect(device).toBeDefined();
  await addPasskey(page);
  const section = page.getByRole("region", { name: "Passkeys" });
  await expect(section.getByRole("listitem")).toContainText("never used");
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
  // The page of the account is what was asked for.
  await signOut(page);
  await page.goto(`${home}/account`);
  const button = page.getByRole("button", { name: "Sign in with a passkey" });
  await button.click();
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
  await expect(section.getByRole("listitem")).toContainText("last used");
  await section.getByRole("button", { name: "Remove" }).click();
  await expect(section.getByRole("listitem")).toHaveCount(0);
  // The device still has it, and it lets nobody in.
  await signOut(page);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByRole("alert")).toContainText("does not let you in");
  expect(rill.log).not.toContain("panicked");
});

test.describe("where the browser offers passkeys by itself", () => {
  test.use({ offers: true });

  test("one signs in without a button", async ({ page, device, home }) => {
    expect(device).toBeDefined();
    await addPasskey(page);
    await page.getByRole("button", { name: "Sign out", exact: true }).last().click();
    await expect(page).toHaveURL(`${home}/`);
  });
});

test("a device takes one passkey of a person, and says so", async ({ page, device }) => {
  expect(device).toBeDefined();
  await addPasskey(page);
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page.getByText("This device has a passkey already.")).toBeVisible();
});

test("an assertion is good once, and for the browser that began", async ({ page, device, home, browser }) => {
  expect(device).toBeDefined();
  await addPasskey(page);
  await signOut(page);
  let form = "";
  await page.route("**/signin/passkey", async (route) => {
    form = route.request().postData() ?? "";
    await route.continue();
  });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(async () => expect(form).toContain("credential=")).toPass();
  const other = await browser.newContext();
  for (const context of [other, page.context()]) {
    const replayed = await context.request.post(`${home}/signin/passkey`, {
      data: form,
      headers: { "content-type": "application/x-www-form-urlencoded", origin: home },
      maxRedirects: 0,
    });
    expect(replayed.status()).toBe(401);
  }
  await other.close();
});
