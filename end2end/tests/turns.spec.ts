/** A conversation of several turns: its history, versions of an answer, edited questions, a new start. */
import { expect, test } from "../fixtures.ts";

test("each question is sent with all that was said before", async ({ chat, upstream }) => {
  upstream.willAnswer(["The first", " answer."]);
  upstream.willAnswer(["The second answer."]);
  upstream.willAnswer(["The third answer."]);
  await chat.open();
  for (const turn of ["first", "second", "third"]) {
    await chat.ask(`The ${turn} question`);
    await chat.finished();
    await expect(chat.answers.last()).toContainText(`The ${turn} answer.`);
  }
  await expect(chat.questions).toHaveCount(3);
  await expect(chat.answers).toHaveCount(3);
  expect(upstream.exchanges.map(({ history }) => history.length)).toEqual([1, 3, 5]);
  expect((await upstream.request(3)).history).toEqual([
    "user: The first question",
    "assistant: The first answer.",
    "user: The second question",
    "assistant: The second answer.",
    "user: The third question",
  ]);
});

test("the key goes to the provider and nowhere else", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["An answer."]);
  const bodies: string[] = [];
  page.on("request", (request) => bodies.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`));
  await chat.open();
  await chat.ask("A question for you");
  await chat.finished();
  expect((await upstream.request(1)).headers.authorization).toBe("Bearer sk-test-SECRET");
  expect(bodies.filter((body) => body.includes("sk-test"))).toEqual([]);
  expect(await page.content()).not.toContain("sk-test");
});

test("Regenerate makes another version, and both can be read", async ({ chat, upstream }) => {
  upstream.willAnswer(["The first version."]);
  upstream.willAnswer(["The second version."]);
  upstream.willAnswer(["It went on."]);
  await chat.open();
  await chat.ask("Tell me a story, please");
  await chat.finished();
  await chat.answer().hover();
  await chat.answer().getByRole("button", { name: "Regenerate" }).click();
  await chat.expectText(chat.answers.last(), "The second version.");
  await chat.finished();
  expect((await upstream.request(2)).history).toEqual(["user: Tell me a story, please"]);
  await expect(chat.questions).toHaveCount(1);
  await expect(chat.answers).toHaveCount(1);
  await expect(chat.answer()).toContainText("2 of 2");

  await chat.answer().getByRole("button", { name: "Previous version" }).click();
  await chat.expectText(chat.answer(), "The first version.");
  await expect(chat.answer()).toContainText("1 of 2");
  await chat.answer().getByRole("button", { name: "Next version" }).click();
  await chat.expectText(chat.answer(), "The second version.");

  // What is on the screen is what the conversation goes on with.
  await chat.answer().getByRole("button", { name: "Previous version" }).click();
  await chat.expectText(chat.answer(), "The first version.");
  await chat.ask("And then what happened?");
  await chat.finished();
  expect((await upstream.request(3)).history).toEqual([
    "user: Tell me a story, please",
    "assistant: The first version.",
    "user: And then what happened?",
  ]);
});

test("an edited question is asked in the place of the old one", async ({ chat, upstream }) => {
  upstream.willAnswer(["About apples."]);
  upstream.willAnswer(["More about apples."]);
  upstream.willAnswer(["About pears."]);
  await chat.open();
  await chat.ask("Tell me about apples");
  await chat.finished();
  await chat.ask("Tell me more of them");
  await chat.finished();
  await chat.question(1).hover();
  await chat.question(1).getByRole("button", { name: "Edit" }).click();
  await chat.finishEdit("Tell me about apples", "Tell me about pears");
  await chat.expectText(chat.answer(), "About pears.");
  await chat.finished();
  expect((await upstream.request(3)).history).toEqual(["user: Tell me about pears"]);
  await expect(chat.questions).toHaveCount(1);
  await chat.expectText(chat.question(1), "Tell me about pears");
});

test("New chat begins from nothing", async ({ chat, upstream }) => {
  upstream.willAnswer(["An answer."]);
  await chat.open();
  await chat.ask("An old question here");
  await chat.finished();
  await chat.newChat.click();
  await expect(chat.questions).toHaveCount(0);
  await expect(chat.answers).toHaveCount(0);
  await expect(chat.composer).toBeFocused();
  await chat.ask("A new question here");
  await chat.finished();
  expect((await upstream.request(2)).history).toEqual(["user: A new question here"]);
});

test("New chat while an answer streams lets it go on", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("An old question here");
  await upstream.send("It begins");
  await expect(chat.answer()).toContainText("It begins");
  await chat.newChat.click();
  await expect(chat.answers).toHaveCount(0);
  await expect(chat.send).toBeVisible();
  await upstream.send(", and ends.");
  await upstream.finish();
  await chat.page.goBack();
  await chat.expectText(chat.answer(), "It begins, and ends.");
  expect((await upstream.request(1)).closedByClientAt).toBeUndefined();
});

test("Copy puts an answer on the clipboard as it was written @desktop", async ({ chat, upstream, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  upstream.willAnswer(["One **bold** line.\n\nAnd <another>."]);
  await chat.open();
  await chat.ask("Write something to copy");
  await chat.finished();
  await chat.answer().hover();
  await chat.answer().getByRole("button", { name: "Copy", exact: true }).click();
  await expect.poll(() => chat.page.evaluate(() => navigator.clipboard.readText())).toBe("One **bold** line.\n\nAnd <another>.");
});
