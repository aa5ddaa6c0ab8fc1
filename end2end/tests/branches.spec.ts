/** The menu of a message: editing an answer, a new chat from a message, deleting with undo. */
import type { Locator } from "@playwright/test";

import type { Chat } from "../chat.ts";
import { expect, test } from "../fixtures.ts";
import { Store } from "../store.ts";
import type { Upstream } from "../upstream.ts";

async function talk(chat: Chat, upstream: Upstream): Promise<void> {
  for (const number of ["first", "second"]) {
    upstream.willAnswer([`The ${number} answer.`]);
    await chat.ask(`The ${number} question`);
    await chat.finished();
  }
}

async function choose(chat: Chat, message: Locator, name: string): Promise<void> {
  await message.hover();
  const more = message.getByRole("button", { name: "More", exact: true });
  await more.click();
  await expect(more).toHaveAttribute("aria-expanded", "true");
  await chat.page.getByRole("menu", { name: "Message menu" }).getByRole("menuitem", { name }).click();
}

test("an edited answer is another version, which the model reads from then on", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream);
  await choose(chat, chat.answer(2), "Edit answer");
  const dialog = page.getByRole("dialog", { name: "Edit answer" });
  const field = dialog.getByRole("textbox", { name: "Answer" });
  await expect(field).toHaveValue("The second answer.");
  await field.fill("A **better** answer.");
  // What was written is not lost with the dialog.
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(chat.answer(2)).toContainText("The second answer.");
  await choose(chat, chat.answer(2), "Edit answer");
  await expect(field).toHaveValue("A **better** answer.");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  await chat.expectText(chat.answer(2), "A better answer.");
  await expect(chat.answer(2)).toContainText("2 of 2");
  await expect(chat.answer(2)).toContainText("Edited");
  upstream.willAnswer(["The third answer."]);
  await chat.ask("The third question");
  await chat.finished();
  expect((await upstream.request(3)).history).toEqual([
    "user: The first question",
    "assistant: The first answer.",
    "user: The second question",
    "assistant: A **better** answer.",
    "user: The third question",
  ]);
  await page.reload();
  await chat.ready();
  await expect(chat.answer(2)).toContainText("Edited");
  await chat.answer(2).getByRole("button", { name: "Previous version" }).click();
  await chat.expectText(chat.answer(2), "The second answer.");
  await expect(chat.answer(2)).not.toContainText("Edited");
});

test("an empty text is no answer, and what was written stays", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream);
  await choose(chat, chat.answer(1), "Edit answer");
  const dialog = page.getByRole("dialog", { name: "Edit answer" });
  await dialog.getByRole("textbox", { name: "Answer" }).fill("   ");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).not.toBeEmpty();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(chat.answer(1)).toContainText("The first answer.");
});

test("a new chat from a message has what was said up to it", async ({ chat, upstream, page, rill }) => {
  await chat.open();
  await talk(chat, upstream);
  const before = page.url();
  await choose(chat, chat.answer(1), "New chat from here");
  await expect(page).not.toHaveURL(before);
  await expect(chat.answers).toHaveCount(1);
  await chat.expectText(chat.answer(1), "The first answer.");
  expect((await new Store(rill).list()).length).toBe(2);
  upstream.willAnswer(["Elsewhere."]);
  await chat.ask("Another question");
  await chat.finished();
  expect((await upstream.request(3)).history).toEqual([
    "user: The first question",
    "assistant: The first answer.",
    "user: Another question",
  ]);
  await page.goBack();
  await expect(chat.answers).toHaveCount(2);
});

test("a deleted message goes with all that follows it, in every tab, and comes back", async ({ chat, upstream, page, context }) => {
  await chat.open();
  await talk(chat, upstream);
  const other = await context.newPage();
  await other.goto(page.url());
  const answers = other.getByRole("article", { name: "Assistant", exact: true });
  await expect(other.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
  await expect(answers).toHaveCount(2);
  await choose(chat, chat.question(2), "Delete from here");
  await expect(chat.questions).toHaveCount(1);
  await expect(chat.answers).toHaveCount(1);
  await expect(answers).toHaveCount(1);
  await expect(chat.status).toHaveText("Messages deleted");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(chat.answers).toHaveCount(2);
  await expect(answers).toHaveCount(2);
  await chat.expectText(chat.answer(2), "The second answer.");
  // The model does not read what was deleted.
  await choose(chat, chat.question(2), "Delete from here");
  await expect(chat.answers).toHaveCount(1);
  upstream.willAnswer(["The third answer."]);
  await chat.ask("The third question");
  await chat.finished();
  expect((await upstream.request(3)).history).toEqual([
    "user: The first question",
    "assistant: The first answer.",
    "user: The third question",
  ]);
});

test("deleting the first message deletes the conversation", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream);
  await choose(chat, chat.question(1), "Delete from here");
  await expect(page).toHaveURL(/\/$/);
  await expect(chat.entries).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(chat.answers).toHaveCount(2);
});

test("the menu of a message is used by keyboard, and a temporary chat has none", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream);
  const more = chat.answer(2).getByRole("button", { name: "More", exact: true });
  await more.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: "Edit answer" })).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("menuitem", { name: "New chat from here" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menu", { name: "Message menu" })).toBeHidden();
  await expect(more).toBeFocused();
  await chat.newChat.click();
  await page.getByRole("button", { name: "Temporary" }).click();
  upstream.willAnswer(["Nothing stays."]);
  await chat.ask("A question in passing");
  await chat.finished();
  await expect(chat.answer(1).getByRole("button", { name: "Copy" })).toBeVisible();
  await expect(chat.answer(1).getByRole("button", { name: "More", exact: true })).toHaveCount(0);
});
