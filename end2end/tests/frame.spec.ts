/** What is around the conversation: the sidebar that hides, the title, temporary chats, suggestions. */
import { expect, test } from "../fixtures.ts";

test("the sidebar can be hidden, which is remembered, and comes back", async ({ chat, page }) => {
  await chat.open();
  await page.getByRole("button", { name: "Hide conversations" }).click();
  await expect(chat.sidebar).toBeHidden();
  const show = page.getByRole("button", { name: "Show conversations" });
  await expect(show).toBeFocused();
  await page.reload();
  await expect(chat.sidebar).toBeHidden();
  await chat.ready();
  await show.click();
  await expect(chat.sidebar).toBeVisible();
  await expect(page.getByRole("button", { name: "Hide conversations" })).toBeFocused();
  await page.keyboard.press("Control+\\");
  await expect(chat.sidebar).toBeHidden();
});

test("the title stands in the header and is changed there", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["An answer."]);
  await chat.open();
  await chat.ask("A title to change");
  await chat.finished();
  const header = page.getByRole("banner");
  await header.getByRole("button", { name: "Rename “A title to change”" }).click();
  await page.getByRole("textbox", { name: "Title" }).fill("Another title");
  await page.keyboard.press("Enter");
  await expect(header.getByRole("button", { name: "Rename “Another title”" })).toBeVisible();
  await expect(chat.entry(/Another title/)).toHaveCount(1);
  await page.reload();
  await expect(header).toContainText("Another title");
  await chat.ready();
  await chat.newChat.click();
  await expect(header).not.toContainText("Another title");
});

test("a new chat is made a temporary one, and an ordinary one again", async ({ chat, upstream, page }) => {
  await chat.open();
  const temporary = page.getByRole("button", { name: "Temporary" });
  await expect(temporary).toHaveAttribute("aria-pressed", "false");
  await temporary.click();
  await expect(temporary).toHaveAttribute("aria-pressed", "true");
  await expect(chat.conversation).toContainText("Nothing of this is kept");
  await temporary.click();
  await expect(temporary).toHaveAttribute("aria-pressed", "false");
  upstream.willAnswer(["An answer."]);
  await chat.ask("Kept after all");
  await chat.finished();
  await expect(temporary).toBeHidden();
  await expect(chat.entry(/Kept after all/)).toHaveCount(1);
});

test("a suggestion is sent with a click", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["A table."]);
  await chat.open();
  await page.getByRole("button", { name: /^Compare two things/ }).click();
  await chat.finished();
  await expect(chat.question(1)).toContainText("Compare SQLite and PostgreSQL");
  await expect(page.getByRole("button", { name: /^Compare two things/ })).toBeHidden();
});

test.describe("in the demo", () => {
  test.use({ environment: { OPENAI_BASE_URL: "", OPENAI_API_KEY: "" } });

  test("the suggestion to explain streaming is answered with reasoning and a table", async ({ chat, page }) => {
    test.slow();
    await chat.open();
    await page.getByRole("button", { name: /^Explain streaming/ }).click();
    await expect(chat.answer()).toContainText("Thinking…");
    await expect(chat.answer()).toContainText(/Thought for \d+ s/, { timeout: 20_000 });
    await expect(chat.answer().getByRole("table")).toBeVisible({ timeout: 30_000 });
    await page.keyboard.press("Escape");
    await expect(chat.answer()).toContainText("Stopped");
  });
});

test("the first click of a visit opens the menu, also while its code is still on the way", async ({ chat, page }) => {
  await chat.open();
  // Without hovering first, as a finger does.
  await chat.sidebar.getByRole("button", { name: "Menu", exact: true }).dispatchEvent("pointerdown");
  await chat.sidebar.getByRole("button", { name: "Menu", exact: true }).dispatchEvent("click");
  await expect(page.getByRole("menu")).toBeVisible();
  await expect(page.getByRole("menuitem", { name: "Settings" })).toBeFocused();
});

test("the title of the tab tells that an answer is being written, and that it ended while nobody looked", async ({ chat, upstream, page }) => {
  await chat.open();
  await chat.ask("Watched from another tab");
  await upstream.send("Half of it");
  await expect(page).toHaveTitle("… Watched from another tab · Rill");
  const show = (state: "hidden" | "visible") =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await show("hidden");
  await upstream.finish();
  await expect(page).toHaveTitle("✓ Watched from another tab · Rill");
  await show("visible");
  await expect(page).toHaveTitle("Watched from another tab · Rill");
});
