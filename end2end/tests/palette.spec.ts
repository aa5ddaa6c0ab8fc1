/** The command palette and the keyboard shortcuts. */
import { AxeBuilder } from "@axe-core/playwright";

import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";
import type { Upstream } from "../upstream.ts";

async function talk(chat: Chat, upstream: Upstream, question: string, answer: string): Promise<void> {
  upstream.willAnswer([answer]);
  await chat.ask(question);
  await chat.finished();
}

test("the first key of a visit can open the palette, which finds conversations by title and by what was said", async ({ chat, upstream, page }) => {
  await chat.open();
  await talk(chat, upstream, "About herons", "They stand in shallow water.");
  await chat.newChat.click();
  await talk(chat, upstream, "About otters", "They swim in rivers.");
  await page.reload();
  await chat.ready();
  await page.keyboard.press("Control+k");
  const field = chat.palette.getByRole("combobox");
  await expect(field).toBeFocused();
  await field.fill("heron");
  await expect(chat.palette.getByRole("group", { name: "Conversations" }).getByRole("option")).toHaveText("About herons");
  await expect(chat.palette.locator("mark").first()).toHaveText(/heron/i);
  await field.fill("shallow");
  const said = chat.palette.getByRole("group", { name: "In messages" }).getByRole("option");
  await expect(said).toContainText("shallow water");
  await page.keyboard.press("Enter");
  await expect(chat.palette).toBeHidden();
  await chat.expectText(chat.answer(), "They stand in shallow water.");
});

test("commands are found by their words, and only those that make sense are offered", async ({ chat, page }) => {
  await chat.open();
  await page.keyboard.press("Control+k");
  const field = chat.palette.getByRole("combobox");
  const option = (name: string) => chat.palette.getByRole("option", { name });
  await expect(option("New chat")).toBeVisible();
  await expect(option("Regenerate the last answer")).toHaveCount(0);
  await field.fill("theme dark");
  await expect(chat.palette.getByRole("option")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.keyboard.press("Control+k");
  await field.fill("no such thing");
  await expect(chat.palette).toContainText("Nothing was found.");
  await page.keyboard.press("Escape");
  await expect(chat.palette).toBeHidden();
});

test("the arrow keys go around the list, and the field names the active row", async ({ chat, page }) => {
  await chat.open();
  await page.keyboard.press("Control+k");
  const field = chat.palette.getByRole("combobox");
  const options = chat.palette.getByRole("option");
  await expect(options.first()).toBeVisible();
  const active = async () => page.locator(`#${await field.getAttribute("aria-activedescendant")}`);
  const first = await options.first().textContent();
  await expect(await active()).toHaveText(first!);
  await page.keyboard.press("ArrowUp");
  await expect(await active()).toHaveText((await options.last().textContent())!);
  await page.keyboard.press("ArrowDown");
  await expect(await active()).toHaveText(first!);
});

test("shortcuts do what their list says", async ({ chat, upstream, page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await chat.open();
  await talk(chat, upstream, "Some code", "Here:\n\n```rust\nfn main() {}\n```\n");
  await page.keyboard.press("Control+'");
  await expect.poll(clipboard).toContain("Here:");
  await page.keyboard.press("Control+Shift+\"");
  await expect.poll(clipboard).toBe("fn main() {}\n");
  upstream.willAnswer(["Another one."]);
  await page.keyboard.press("Alt+Enter");
  await expect(chat.answer()).toContainText("Another one.");
  await chat.finished();
  await page.keyboard.press("Control+;");
  await expect(chat.answers).toHaveCount(0);
  await expect(chat.composer).toBeFocused();
  await talk(chat, upstream, "The second", "Of two.");
  await page.keyboard.press("Alt+PageDown");
  await chat.expectText(chat.answer(), "Another one.");
  await page.keyboard.press("Alt+PageUp");
  await chat.expectText(chat.answer(), "Of two.");
});

test("? lists the shortcuts, but not while one writes", async ({ chat, page }) => {
  await chat.open();
  const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await chat.composer.focus();
  await page.keyboard.type("Why?");
  await expect(chat.composer).toHaveValue("Why?");
  await expect(list).toBeHidden();
  await chat.conversation.focus();
  await page.keyboard.press("?");
  await expect(list).toBeVisible();
  await expect(list.getByText("New chat", { exact: true })).toBeVisible();
  await list.getByRole("button", { name: "Close" }).click();
  await expect(list).toBeHidden();
  await expect(chat.conversation).toBeFocused();
});

test("Esc in the palette closes it and does not stop the answer behind it", async ({ chat, upstream, page }) => {
  await chat.open();
  await chat.ask("A long one");
  await upstream.send("Half of it");
  await expect(chat.answer()).toContainText("Half of it");
  await page.keyboard.press("Control+k");
  await expect(chat.palette.getByRole("option", { name: "Stop the answer" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(chat.palette).toBeHidden();
  await expect(chat.stop).toBeVisible();
  await upstream.finish();
  await chat.finished();
});

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme });

    test("axe finds nothing wrong with what opens over the page", async ({ chat, page }) => {
      await chat.open();
      const check = async (what: string) => {
        await chat.drawn();
        const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
        expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${what}: ${id}: ${html}`))).toEqual([]);
      };
      await page.keyboard.press("Control+k");
      await expect(chat.palette.getByRole("option").first()).toBeVisible();
      await check("palette");
      await page.keyboard.press("Escape");
      await chat.model.click();
      await expect(page.getByRole("dialog", { name: "Model" }).getByRole("option")).toHaveCount(2);
      await check("models");
      await page.keyboard.press("Escape");
      await chat.openSettings();
      await check("settings");
      await page.keyboard.press("Escape");
      await chat.chooseInMenu("Keyboard shortcuts");
      await check("shortcuts");
      await page.keyboard.press("Escape");
      await chat.sidebar.getByRole("button", { name: "Menu", exact: true }).click();
      await expect(page.getByRole("menu")).toBeVisible();
      await check("menu");
    });
  });
}
