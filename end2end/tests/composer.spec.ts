/** Writing a message: keys, input methods, drafts, and never a lost word. */
import { expect, test } from "../fixtures.ts";

test("Enter sends, Shift+Enter makes a line @desktop", async ({ chat, upstream }) => {
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

test("Enter that confirms an input method's candidate sends nothing @desktop", async ({ chat, upstream }) => {
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
    await chat.submit();
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
  await chat.submit();
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
  await page.goto("./", { waitUntil: "commit" });
  await chat.composer.click();
  await page.keyboard.type("Written very early");
  await expect(chat.composer).toHaveValue("Written very early");
  release();
  await chat.ready();
  await expect(chat.composer).toHaveValue("Written very early");
  await expect(chat.composer).toBeFocused();
  await page.keyboard.type(" and late");
  await chat.submit();
  await chat.finished();
  expect((await upstream.request(1)).history).toEqual(["user: Written very early and late"]);
});

test("the next message can be written while a reply streams @desktop", async ({ chat, upstream }) => {
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

test("on a touch screen Enter makes a line and the button sends @phone", async ({ chat, upstream }) => {
  upstream.willAnswer(["Thanks."]);
  upstream.willAnswer(["Thanks again."]);
  await chat.open();
  await expect(chat.composer).toHaveAttribute("enterkeyhint", "enter");
  await expect(chat.page.getByText("Enter makes a new line, Send sends.")).toBeVisible();
  await chat.composer.tap();
  await chat.page.keyboard.type("line one");
  await chat.page.keyboard.press("Enter");
  await chat.page.keyboard.type("line two");
  await expect(chat.composer).toHaveValue("line one\nline two");
  expect(upstream.exchanges.length).toBe(0);
  await chat.send.tap();
  expect((await upstream.request(1)).history).toEqual(["user: line one\nline two"]);
  await chat.finished();
  // A keyboard that is attached has its way, too.
  await chat.composer.fill("with a keyboard");
  await chat.composer.press("Control+Enter");
  expect((await upstream.request(2)).history.at(-1)).toBe("user: with a keyboard");
  await chat.finished();
});

for (const { choice, hint, value } of [
  { choice: "Always", hint: "send", value: "" },
  { choice: "Never", hint: "enter", value: "First\n" },
]) {
  test(`a setting says that Enter sends ${choice.toLowerCase()}`, async ({ chat, page, upstream }) => {
    upstream.willAnswer(["Thanks."]);
    await chat.open();
    await chat.openSettings();
    const setting = chat.settings.getByRole("combobox", { name: "Enter sends" });
    await expect(setting).toHaveValue("");
    await setting.selectOption(choice);
    await chat.settings.getByRole("button", { name: "Close" }).click();
    await expect(chat.composer).toHaveAttribute("enterkeyhint", hint);
    // It is remembered.
    await page.reload();
    await chat.ready();
    await expect(chat.composer).toHaveAttribute("enterkeyhint", hint);
    await chat.composer.fill("First");
    await chat.composer.press("Enter");
    await expect(chat.composer).toHaveValue(value);
    if (choice === "Never") {
      expect(upstream.exchanges.length).toBe(0);
      await chat.composer.press("Control+Enter");
    }
    expect((await upstream.request(1)).history[0]).toMatch(/^user: First\n?$/);
    await chat.finished();
  });
}

test("a long text has one direction, since browsers look for that of each paragraph at each key", async ({ chat, page }) => {
  test.slow();
  await chat.open();
  await chat.composer.click();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const paste = async (text: string) => {
    await page.evaluate((text) => navigator.clipboard.writeText(text), text);
    await page.keyboard.press("ControlOrMeta+V");
    await expect.poll(() => chat.composer.evaluate((field: HTMLTextAreaElement) => field.textLength)).toBe(text.length);
  };
  for (const [letter, direction] of [
    ["x", "ltr"],
    ["\u05e9", "rtl"],
  ] as const) {
    // A megabyte without a space, in a field that was empty.
    await paste(letter.repeat(1 << 20));
    await expect(chat.composer).toHaveAttribute("dir", direction);
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.press("Delete");
    await expect(chat.composer).toHaveAttribute("dir", "auto");
    await paste("short");
    await expect(chat.composer).toHaveAttribute("dir", "auto");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.press("Delete");
  }
});

/** About a megabyte in 20,000 lines. */
const LONG = Array.from({ length: 20_000 }, (_, line) => `line ${line} of what was pasted, with some words`).join("\n");

test("a key in 20,000 lines neither reads, measures nor stores them", async ({ chat, page }, testInfo) => {
  // To lay out 20,000 lines takes the browser itself seconds where other tests run beside it.
  test.slow();
  await chat.open();
  await chat.composer.click();
  // Counts what the page does with the text, key by key.
  await chat.composer.evaluate((composer) => {
    const counts = { reads: 0, writes: 0, stores: 0, measures: 0, times: [] as number[] };
    Object.assign(window, { counts });
    const watch = (prototype: object, name: string, get: keyof typeof counts, set?: keyof typeof counts) => {
      const property = Object.getOwnPropertyDescriptor(prototype, name)!;
      Object.defineProperty(prototype, name, {
        ...property,
        get(this: unknown) {
          if (this === composer) (counts[get] as number)++;
          return property.get!.call(this);
        },
        set(this: unknown, value: unknown) {
          if (set && this === composer) (counts[set] as number)++;
          property.set?.call(this, value);
        },
      });
    };
    watch(HTMLTextAreaElement.prototype, "value", "reads", "writes");
    watch(Element.prototype, "scrollHeight", "measures");
    const setItem = Storage.prototype.setItem;
    Storage.prototype.setItem = function (name, value) {
      if (name === "rill.draft") counts.stores++;
      setItem.call(this, name, value);
    };
    composer.addEventListener("keydown", () => {
      const begun = performance.now();
      requestAnimationFrame(() => setTimeout(() => counts.times.push(performance.now() - begun)));
    });
  });
  type Counts = { reads: number; writes: number; stores: number; measures: number; times: number[] };
  const counts = () => page.evaluate(() => (window as unknown as { counts: Counts }).counts);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate((text) => navigator.clipboard.writeText(text), LONG);
  await page.keyboard.press("ControlOrMeta+V");
  await expect.poll(async () => (await counts()).stores, { message: "the draft is stored in a pause" }).toBe(1);
  const before = await counts();
  const typed = "written below it";
  await page.keyboard.type(typed);
  const after = await counts();
  expect(after.writes - before.writes).toBe(0);
  expect(after.measures - before.measures).toBe(0);
  // In a pause, which a slow machine may have between two keys.
  expect(after.reads - before.reads).toBeLessThan(typed.length / 2);
  expect(after.stores - before.stores).toBeLessThan(typed.length / 2);
  const times = (await counts()).times.sort((one, other) => one - other);
  testInfo.annotations.push({ type: "key to picture, median", description: `${times[times.length >> 1]?.toFixed(1)} ms` });
  expect(times.length).toBeGreaterThan(0);
  // What was not read yet is sent and kept all the same.
  await page.reload();
  await chat.ready();
  const value = await chat.composer.inputValue();
  expect(value.length).toBe(LONG.length + typed.length);
  expect(value.endsWith(typed)).toBe(true);
});
