/** Presets: made, chosen, kept by the conversation, and typed after a slash. */
import type { Locator, Page } from "@playwright/test";

import type { Chat } from "../chat.ts";
import { expect, test } from "../fixtures.ts";

const chip = (page: Page): Locator => page.getByRole("button", { name: /^Preset:/ });

async function makePreset(chat: Chat, name: string, system: string): Promise<void> {
  await chip(chat.page).click();
  await chat.page.getByRole("dialog", { name: "Presets" }).getByRole("option", { name: "New preset" }).click();
  const form = chat.page.getByRole("dialog", { name: "Preset", exact: true });
  await form.getByRole("textbox", { name: /^Name/ }).fill(name);
  await form.getByRole("textbox", { name: "System prompt" }).fill(system);
  await form.getByRole("textbox", { name: "Temperature" }).fill("0.2");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form).toBeHidden();
}

test("a conversation keeps its preset, and a new chat begins with the default", async ({ chat, upstream, page }) => {
  await chat.open();
  await makePreset(chat, "Proof Reader", "Correct the spelling.");
  await expect(chip(page)).toHaveAccessibleName("Preset: Proof Reader");
  upstream.willAnswer(["Corrected."]);
  await chat.ask("Teh first");
  await chat.finished();
  expect((await upstream.request(1)).history).toEqual(["system: Correct the spelling.", "user: Teh first"]);
  expect((await upstream.request(1)).body).toMatchObject({ temperature: 0.2 });
  await chat.newChat.click();
  await expect(chip(page)).toHaveAccessibleName("Preset: Default");
  upstream.willAnswer(["Plain."]);
  await chat.ask("Without it");
  await chat.finished();
  expect((await upstream.request(2)).history).toEqual(["user: Without it"]);
  // The other conversation has it still, after a reload, too.
  await chat.entry(/Teh first/).getByRole("link").click();
  await expect(chip(page)).toHaveAccessibleName("Preset: Proof Reader");
  await page.reload();
  await chat.ready();
  await expect(chip(page)).toHaveAccessibleName("Preset: Proof Reader");
  upstream.willAnswer(["Corrected again."]);
  await chat.ask("Teh second");
  await chat.finished();
  expect((await upstream.request(3)).history[0]).toBe("system: Correct the spelling.");
  // It can be changed from the next message on, for this conversation alone.
  await chip(page).click();
  await page.getByRole("option", { name: "Settings of this chat" }).click();
  const form = page.getByRole("dialog", { name: "Settings of this chat" });
  await expect(form.getByRole("textbox", { name: "System prompt" })).toHaveValue("Correct the spelling.");
  await form.getByRole("textbox", { name: "System prompt" }).fill("Only nod.");
  await form.getByRole("textbox", { name: "Temperature" }).fill("9");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(form.getByText("A number from 0 to 2, or nothing.")).toBeVisible();
  await form.getByRole("textbox", { name: "Temperature" }).fill("");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(chip(page)).toHaveAccessibleName("Preset: Own prompt");
  upstream.willAnswer(["*nods*"]);
  await chat.ask("Teh third");
  await chat.finished();
  expect((await upstream.request(4)).history[0]).toBe("system: Only nod.");
});

test("a preset is chosen by its name after a slash, and a path is only a text", async ({ chat, upstream, page }) => {
  await chat.open();
  await makePreset(chat, "Translator", "Translate into French.");
  await chat.newChat.click();
  await expect(chip(page)).toHaveAccessibleName("Preset: Default");
  await chat.composer.focus();
  await page.keyboard.type("/tr");
  const offered = page.getByRole("group", { name: "Presets" });
  await expect(offered.getByRole("button", { name: "Translator" })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(chip(page)).toHaveAccessibleName("Preset: Translator");
  await expect(chat.composer).toHaveValue("");
  await expect(chat.composer).toBeFocused();
  await expect(offered).toBeHidden();
  upstream.willAnswer(["A path."]);
  await chat.ask("/etc/hosts");
  await chat.finished();
  expect((await upstream.request(1)).history).toEqual(["system: Translate into French.", "user: /etc/hosts"]);
});

test("a preset is edited and deleted, and the conversation keeps its copy", async ({ chat, upstream, page }) => {
  await chat.open();
  await makePreset(chat, "Brief", "Be brief.");
  upstream.willAnswer(["Yes."]);
  await chat.ask("Is it so?");
  await chat.finished();
  await chip(page).click();
  const list = page.getByRole("dialog", { name: "Presets" });
  await page.keyboard.type("brief");
  await expect(list.getByRole("option", { name: /Brief/ })).toBeVisible();
  await page.keyboard.press("Alt+Enter");
  const form = page.getByRole("dialog", { name: "Preset", exact: true });
  await expect(form.getByRole("textbox", { name: /^Name/ })).toHaveValue("Brief");
  await form.getByRole("button", { name: "Delete" }).click();
  await expect(form).toBeHidden();
  await chip(page).click();
  await expect(list.getByRole("option", { name: "Default" })).toBeVisible();
  await expect(list.getByRole("option", { name: /Brief/ })).toHaveCount(0);
  await page.keyboard.press("Escape");
  upstream.willAnswer(["No."]);
  await chat.ask("And now?");
  await chat.finished();
  expect((await upstream.request(2)).history[0]).toBe("system: Be brief.");
});
