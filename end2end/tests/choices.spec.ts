/** What a person chooses: which model answers, and how. Only what was chosen is sent. */
import { expect, test } from "../fixtures.ts";

test("a model is found by typing, chosen, asked and remembered", async ({ chat, page, upstream }) => {
  await chat.open();
  await expect(chat.model).toHaveText("Model: gpt-5-mini");
  await chat.model.click();
  const options = page.getByRole("dialog", { name: "Model" }).getByRole("option");
  await expect(options).toHaveText([/^gpt-5-mini\s*default$/, /^scripted/]);
  await chat.findModel.fill("SCR");
  await expect(options).toHaveText([/^scripted/, /^SCR$/]);
  await chat.findModel.press("Enter");
  await expect(options).toHaveCount(0);
  await expect(chat.model).toHaveText("Model: scripted");
  await expect(chat.composer).toBeFocused();

  upstream.willAnswer(["Fine."]);
  await chat.ask("Which one are you?");
  await chat.finished();
  expect((await upstream.request(1)).body.model).toBe("scripted");

  await page.reload();
  await chat.ready();
  await expect(chat.model).toHaveText("Model: scripted");
  await chat.model.click();
  await options.filter({ hasText: "gpt-5-mini" }).click();
  await chat.ask("And you?");
  await chat.finished();
  expect((await upstream.request(2)).body.model).toBe("gpt-5-mini");
});

test("the keys of the picker stop nothing and choose what they are on", async ({ chat, page, upstream }) => {
  upstream.willWait();
  await chat.open();
  await chat.ask("A question");
  await upstream.send("Half");
  const options = page.getByRole("dialog", { name: "Model" }).getByRole("option");
  await chat.model.press("Enter");
  await expect(options).toHaveCount(2);
  await expect(chat.findModel).toBeFocused();
  await chat.findModel.press("Escape");
  await expect(options).toHaveCount(0);
  await expect(chat.stop).toBeVisible();
  await expect(chat.model).toBeFocused();
  await chat.model.press("Enter");
  await expect(options).toHaveCount(2);
  await chat.findModel.press("ArrowDown");
  await expect(options.nth(1)).toHaveClass(/active/);
  await chat.findModel.press("Enter");
  await expect(chat.model).toHaveText("Model: scripted");
  await upstream.finish();
  await chat.finished();
});

test("a name that no list holds can be typed", async ({ chat, upstream }) => {
  upstream.willAnswer(["Fine."]);
  await chat.open();
  await chat.model.click();
  await chat.findModel.fill("brand/new:7b");
  await chat.findModel.press("Enter");
  await chat.ask("Which one are you?");
  await chat.finished();
  expect((await upstream.request(1)).body.model).toBe("brand/new:7b");
});

test("settings are sent where they are set, and remembered", async ({ chat, page, upstream }) => {
  upstream.willAnswer(["Fine."]);
  await chat.open();
  await chat.ask("Without any");
  await chat.finished();
  const plain = (await upstream.request(1)).body;
  expect(plain.messages).toEqual([{ role: "user", content: "Without any" }]);
  for (const field of ["temperature", "max_tokens", "reasoning_effort"]) expect(plain).not.toHaveProperty(field);

  await chat.openSettings();
  await chat.settings.getByRole("textbox", { name: "System prompt" }).fill("Answer in French.");
  await chat.settings.getByRole("textbox", { name: "Temperature" }).fill("0,5");
  await chat.settings.getByRole("combobox", { name: "Reasoning effort" }).selectOption("Low");
  await chat.settings.getByRole("textbox", { name: "Maximum length" }).fill("300");
  await chat.settings.getByRole("button", { name: "Close" }).click();
  await expect(chat.settings).toBeHidden();
  await page.reload();
  await chat.ready();
  await chat.newChat.click();
  await chat.ask("With all");
  await chat.finished();
  expect((await upstream.request(2)).body).toMatchObject({
    messages: [
      { role: "system", content: "Answer in French." },
      { role: "user", content: "With all" },
    ],
    temperature: 0.5,
    reasoning_effort: "low",
    max_tokens: 300,
  });

  await chat.openSettings();
  const temperature = chat.settings.getByRole("textbox", { name: "Temperature" });
  await expect(temperature).toHaveValue("0,5");
  await temperature.fill("hot");
  await expect(chat.settings).toContainText("A number from 0 to 2, or nothing.");
  await page.keyboard.press("Escape");
  await expect(chat.settings).toBeHidden();
  await chat.ask("As before");
  await chat.finished();
  expect((await upstream.request(3)).body).toMatchObject({ temperature: 0.5 });
});

test("a favourite model stands first, also on the next visit", async ({ chat, page }) => {
  await chat.open();
  const dialog = page.getByRole("dialog", { name: "Model" });
  for (const visit of ["first", "second"]) {
    await chat.model.click();
    await expect(dialog.getByRole("option")).toHaveCount(2);
    if (visit === "first") {
      await chat.findModel.press("ArrowDown");
      await chat.findModel.press("Alt+Enter");
    }
    await expect(dialog.getByRole("group", { name: "Favourites" }).getByRole("option")).toHaveText("scripted");
    await expect(dialog.getByRole("option").first()).toHaveText("scripted");
    await page.reload();
    await chat.ready();
  }
});

test("the effort is chosen beside the composer", async ({ chat, page, upstream }) => {
  upstream.willAnswer(["Fine."]);
  await chat.open();
  await page.getByRole("combobox", { name: "Reasoning effort" }).selectOption("High");
  await page.reload();
  await chat.ready();
  await expect(page.getByRole("combobox", { name: "Reasoning effort" })).toHaveValue("high");
  await chat.ask("Think hard");
  await chat.finished();
  expect((await upstream.request(1)).body).toMatchObject({ reasoning_effort: "high" });
});

test("what a reply cost is told in a panel on demand", async ({ chat, upstream }) => {
  upstream.willAnswer(["One ", "two ", "three."], { everyMs: 150 });
  await chat.open();
  await chat.ask("Count");
  await chat.finished();
  const answer = chat.answer();
  await expect(answer).not.toContainText("tokens/s");
  await answer.getByRole("button", { name: "Details" }).click();
  const figures: [string, RegExp][] = [
    ["Model", /^gpt-5-mini$/],
    ["First token after", /^[\d.]+ s$/],
    ["Length", /^3 tokens$/],
    ["Speed", /^[\d.]+ tokens\/s$/],
    ["Read", /^12 tokens$/],
    ["Finish", /^stop$/],
  ];
  await expect(answer.getByRole("term")).toHaveText(figures.map(([name]) => name));
  await expect(answer.getByRole("definition")).toHaveText(figures.map(([, value]) => value));
  await answer.getByRole("button", { name: "Details" }).click();
  await expect(answer).not.toContainText("tokens/s");
});

test("while the server waits to ask the provider again, the page says so", async ({ chat, upstream }) => {
  upstream.willFail(429, { error: { message: "slow down" } }, { "retry-after": "3" });
  upstream.willAnswer(["Fine."]);
  await chat.open();
  await chat.ask("Are you there?");
  await expect(chat.answer()).toContainText(/The provider is busy\. Asking again in [123] s…/);
  await chat.finished();
  await expect(chat.answer()).not.toContainText("busy");
  await chat.expectText(chat.answer(), "Fine.");
});
