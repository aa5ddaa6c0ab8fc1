/** Writing a message: keys, input methods, drafts, and never a lost word. */
import { expect, test } from "../fixtures.ts";

test("Enter sends, Shift+Enter makes a line", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  await chat.composer.click();
  await chat.page.keyboard.type("line one");
  await chat.page.keyboard.press("Shift+Enter");
  await chat.page.keyboard.type("line two");
  await expect(chat.composer).toHaveValue("line one\nline two");
  expect(upstream.exchanges.length).toBe(0);
  await chat.page.keyboard.press("Enter");
  expect((await upstream.request(1)).history).toEqual(["user: line one\nline two"]);
  await expect(chat.composer).toHaveValue("");
  await chat.finished();
});

test("Send sends, and the focus is back in the composer", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  await chat.composer.fill("Sent with the button");
  await chat.send.click();
  expect((await upstream.request(1)).history).toEqual(["user: Sent with the button"]);
  await expect(chat.composer).toBeFocused();
  await chat.finished();
  await expect(chat.composer).toBeFocused();
});

test("nothing but spaces is not sent", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  await chat.ask("   ");
  await chat.ask("Something at last");
  await chat.finished();
  await expect(chat.questions).toHaveCount(1);
  expect(upstream.exchanges.length).toBe(1);
});

test("Enter that confirms an input method's candidate sends nothing", async ({ chat, upstream }) => {
  upstream.willAnswer(["はい。"]);
  await chat.open();
  await chat.composer.focus();
  const devtools = await chat.devtools();
  await devtools.send("Input.imeSetComposition", { text: "にほん", selectionStart: 3, selectionEnd: 3 });
  await expect(chat.composer).toHaveValue("にほん");
  // While it composes, Chromium reports Enter with the code of a composition.
  const enter = { code: "Enter", key: "Enter", windowsVirtualKeyCode: 229 };
  await devtools.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...enter });
  await devtools.send("Input.insertText", { text: "日本" });
  await devtools.send("Input.dispatchKeyEvent", { type: "keyUp", ...enter });
  await expect(chat.composer).toHaveValue("日本");
  await expect(chat.questions).toHaveCount(0);
  await chat.page.keyboard.press("Enter");
  await chat.finished();
  expect(upstream.exchanges.map(({ history }) => history)).toEqual([["user: 日本"]]);
});

for (const { order, events } of [
  {
    order: "inside of the composition, as Chromium and Firefox report it",
    events: [
      ["compositionstart", {}],
      ["keydown", { key: "Enter", isComposing: true, keyCode: 229 }],
      ["compositionend", {}],
    ],
  },
  {
    order: "after the composition, as Safari reports it",
    events: [
      ["compositionstart", {}],
      ["compositionend", {}],
      ["keydown", { key: "Enter", isComposing: false, keyCode: 229 }],
    ],
  },
] as const) {
  test(`an Enter ${order} sends nothing`, async ({ chat, upstream }) => {
    upstream.willAnswer(["はい。"]);
    await chat.open();
    await chat.composer.fill("日本語の質問です");
    await chat.composer.evaluate((composer, events) => {
      for (const [type, init] of events) {
        const options = { bubbles: true, cancelable: true, ...init };
        composer.dispatchEvent(type === "keydown" ? new KeyboardEvent(type, options) : new CompositionEvent(type, options));
      }
    }, events);
    await chat.drawn();
    await expect(chat.composer).toHaveValue("日本語の質問です");
    await expect(chat.questions).toHaveCount(0);
    await chat.composer.press("Enter");
    await chat.finished();
    expect(upstream.exchanges.length).toBe(1);
  });
}

test("it grows with the text up to a third of the window and shrinks again", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  const height = async () => (await chat.composer.boundingBox())!.height;
  const empty = await height();
  await chat.composer.fill("one\ntwo\nthree");
  await expect.poll(height).toBeGreaterThan(empty);
  await chat.composer.fill("line\n".repeat(200));
  const third = chat.page.viewportSize()!.height / 3;
  await expect.poll(height).toBeGreaterThan(third * 0.6);
  expect(await height()).toBeLessThanOrEqual(third + 1);
  await chat.composer.press("Enter");
  await expect.poll(height).toBe(empty);
});

test("a draft survives a reload", async ({ chat }) => {
  await chat.open();
  await chat.composer.fill("Half a thought\nand another");
  await chat.page.reload();
  await chat.ready();
  await expect(chat.composer).toHaveValue("Half a thought\nand another");
});

test("a message that was sent is no draft any more", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  await chat.open();
  await chat.ask("Sent and gone from here");
  await chat.finished();
  await chat.page.reload();
  await chat.ready();
  await expect(chat.composer).toHaveValue("");
});

test("what is written before the page is ready stays", async ({ chat, upstream, page }) => {
  upstream.willAnswer(["Thanks."]);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\.wasm$/, async (route) => {
    await released;
    await route.continue();
  });
  await page.goto("/", { waitUntil: "commit" });
  await chat.composer.click();
  await page.keyboard.type("Written very early");
  await expect(chat.composer).toHaveValue("Written very early");
  release();
  await chat.ready();
  await expect(chat.composer).toHaveValue("Written very early");
  await expect(chat.composer).toBeFocused();
  await page.keyboard.type(" and late");
  await page.keyboard.press("Enter");
  await chat.finished();
  expect((await upstream.request(1)).history).toEqual(["user: Written very early and late"]);
});

test("the next message can be written while a reply streams", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("The first question");
  await upstream.send("It begins ");
  await expect(chat.composer).toBeFocused();
  await chat.page.keyboard.type("The next ");
  await upstream.send("and goes on ");
  await expect(chat.answer()).toContainText("and goes on");
  await chat.page.keyboard.type("question");
  // Enter does not send it into the middle of a reply, and does not lose it.
  await chat.page.keyboard.press("Enter");
  await expect(chat.composer).toHaveValue(/^The next question\n?$/);
  expect(upstream.exchanges.length).toBe(1);
  await upstream.send("to the end.");
  await upstream.finish();
  await chat.finished();
  await expect(chat.composer).toHaveValue(/^The next question\n?$/);
  await chat.page.keyboard.press("Enter");
  expect((await upstream.request(2)).history.at(-1)).toBe("user: The next question");
  await upstream.finish();
});

test("↑ in an empty composer edits the last question @desktop", async ({ chat, upstream }) => {
  upstream.willAnswer(["About apples."]);
  upstream.willAnswer(["About pears."]);
  await chat.open();
  await chat.ask("Tell me about apples");
  await chat.finished();
  await chat.composer.fill("not empty");
  await chat.composer.press("ArrowUp");
  await expect(chat.composer).toHaveValue("not empty");
  await chat.composer.fill("");
  await chat.composer.press("ArrowUp");
  await chat.finishEdit("Tell me about apples", "Tell me about pears");
  await chat.finished();
  expect((await upstream.request(2)).history).toEqual(["user: Tell me about pears"]);
});
