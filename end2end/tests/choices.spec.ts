/** What a person chooses: which model answers, and how. Only what was chosen is sent. */
import { expect, test } from "../fixtures.ts";

test("a model is found by typing, chosen, asked and remembered", async ({ chat, page, upstream }) => {
  await chat.open();
  await expect(chat.model).toHaveValue("gpt-5-mini");
  await chat.model.click();
  const options = page.getByRole("listbox", { name: "Models" }).getByRole("option");
  await expect(options).toHaveText([/^gpt-5-mini\s*default$/, /^scripted/]);
  await chat.model.fill("SCR");
  await expect(options).toHaveText([/^scripted/, /^SCR\s*as typed$/]);
  await chat.model.press("Enter");
  await expect(options).toHaveCount(0);
  await expect(chat.model).toHaveValue("scripted");
  await expect(chat.composer).toBeFocused();

  upstream.willAnswer(["Fine."]);
  await chat.ask("Which one are you?");
  await chat.finished();
  expect((await upstream.request(1)).body.model).toBe("scripted");

  await page.reload();
  await chat.ready();
  await expect(chat.model).toHaveValue("scripted");
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
  await chat.model.focus();
  await expect(chat.model).toHaveAttribute("aria-expanded", "true");
  await expect(page.getByRole("option")).toHaveCount(2);
  await chat.model.press("Escape");
  await expect(chat.model).toHaveAttribute("aria-expanded", "false");
  await expect(chat.stop).toBeVisible();
  await chat.model.press("ArrowDown");
  await expect(page.getByRole("option")).toHaveCount(2);
  await chat.model.press("ArrowDown");
  await chat.model.press("Enter");
  await expect(chat.model).toHaveValue("scripted");
  await upstream.finish();
  await chat.finished();
});

test("a name that no list holds can be typed", async ({ chat, upstream }) => {
  upstream.willAnswer(["Fine."]);
  await chat.open();
  await chat.model.click();
  await chat.model.fill("brand/new:7b");
  await chat.model.press("Enter");
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

test("what a reply cost is told in a line on demand", async ({ chat, upstream }) => {
  upstream.willAnswer(["One ", "two ", "three."], { everyMs: 150 });
  await chat.open();
  await chat.ask("Count");
  await chat.finished();
  const answer = chat.answer();
  await expect(answer).not.toContainText("tokens/s");
  await answer.getByRole("button", { name: "Details" }).click();
  await expect(answer).toContainText(/gpt-5-mini · first token after [\d.]+ s · 3 tokens · [\d.]+ tokens\/s · 12 tokens of conversation · finish: stop/);
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
