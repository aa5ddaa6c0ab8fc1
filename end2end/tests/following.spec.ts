/** The view follows the text while the person is at its end, and is the person's own otherwise. */
import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";
import type { Upstream } from "../upstream.ts";
import { View } from "../view.ts";

const paragraph = (number: number) => `Paragraph ${number}. ${"Many words that fill the line. ".repeat(6)}\n\n`;

/** An answer that is streaming and already longer than any screen. */
async function streamLongAnswer(chat: Chat, upstream: Upstream): Promise<View> {
  await chat.open();
  await chat.ask("Write a very long text");
  for (let number = 1; number <= 12; number += 1) await upstream.send(paragraph(number));
  await expect(chat.answer()).toContainText("Paragraph 12.");
  const view = new View(chat);
  await view.expectAtEnd();
  return view;
}

/** Lets more text come and waits until it is drawn. */
async function stream(chat: Chat, upstream: Upstream, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number += 1) {
    await upstream.send(paragraph(number));
    await expect(chat.answers.last()).toContainText(`Paragraph ${number}.`);
    await chat.drawn();
  }
}

test("the view follows the text", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  const before = await view.top();
  expect(before).toBeGreaterThan(0);
  for (let number = 13; number <= 18; number += 1) {
    await stream(chat, upstream, number, number);
    await view.expectAtEnd();
  }
  expect(await view.top()).toBeGreaterThan(before);
  await expect(chat.jump).toBeHidden();
  await upstream.finish();
  await chat.finished();
  await view.expectAtEnd();
});

for (const { way, tag, scroll } of [
  { way: "the wheel", tag: "@desktop", scroll: (view: View) => view.wheel(-240) },
  { way: "a single notch of the wheel", tag: "@desktop", scroll: (view: View) => view.wheel(-53) },
  { way: "a finger", tag: "@phone", scroll: (view: View) => view.stroke("down") },
  {
    way: "a key",
    tag: "@desktop",
    scroll: async (view: View, chat: Chat) => {
      await chat.conversation.focus();
      await chat.page.keyboard.press("PageUp");
      await view.atRest();
    },
  },
]) {
  test(`scrolling up with ${way} stops the following ${tag}`, async ({ chat, upstream }) => {
    const view = await streamLongAnswer(chat, upstream);
    const end = await view.top();
    await scroll(view, chat);
    const mine = await view.top();
    expect(mine, "it scrolled").toBeLessThan(end);
    const seen = await view.watch();
    await stream(chat, upstream, 13, 16);
    await upstream.finish();
    await chat.finished();
    await chat.drawn();
    expect([...new Set(await seen())], "the places at which the view was, frame by frame").toEqual([mine]);
  });
}

test("scrolling up between two pieces that come fast is never undone @desktop", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  // The wheel turns while text pours in: the moment at which following and the person could fight.
  const pouring = (async () => {
    for (let number = 13; number <= 60; number += 1) await upstream.send(paragraph(number));
  })();
  await chat.conversation.hover({ position: { x: 100, y: 60 }, force: true });
  for (let notch = 0; notch < 5; notch += 1) await chat.page.mouse.wheel(0, -100);
  await pouring;
  await expect(chat.answer()).toContainText("Paragraph 60.");
  await view.atRest();
  await view.expectAway();
  const mine = await view.top();
  await stream(chat, upstream, 61, 63);
  expect(await view.top()).toBe(mine);
  await upstream.finish();
});

test("scrolling back to the end resumes the following @desktop", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  await view.wheel(-300);
  await stream(chat, upstream, 13, 13);
  await view.expectAway();
  await view.wheel(100_000);
  await view.expectAtEnd();
  await stream(chat, upstream, 14, 16);
  await view.expectAtEnd();
  await upstream.finish();
});

test("a finger that scrolls back to the end resumes the following @phone", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  await view.stroke("down");
  await stream(chat, upstream, 13, 13);
  await view.expectAway();
  await view.strokeToEnd();
  await view.expectAtEnd();
  await stream(chat, upstream, 14, 16);
  await view.expectAtEnd();
  await upstream.finish();
});

test("Jump to latest goes to the end and follows again", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  await chat.conversation.evaluate((log) => log.querySelector("article")!.scrollIntoView());
  await expect(chat.jump).toBeVisible();
  await stream(chat, upstream, 13, 14);
  await view.expectAway();
  await chat.jump.click();
  await view.expectAtEnd();
  await expect(chat.jump).toBeHidden();
  await stream(chat, upstream, 15, 17);
  await view.expectAtEnd();
  await upstream.finish();
});

test("sending a message goes to it", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  await upstream.finish();
  await chat.finished();
  await chat.conversation.evaluate((log) => log.querySelector("article")!.scrollIntoView());
  await view.expectAway();
  await chat.ask("And now another question");
  await upstream.request(2);
  await expect(chat.question(2)).toBeInViewport();
  await upstream.send("Yes?");
  await expect(chat.answer(2)).toBeInViewport();
  await view.expectAtEnd();
  await upstream.finish();
});

test("a selection survives the streaming", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("Write something to select");
  await upstream.send("Select these words here. ");
  await expect(chat.answer()).toContainText("these words");
  await chat.answer().evaluate((article) => {
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
      const start = node.data.indexOf("these words");
      if (start >= 0) getSelection()!.setBaseAndExtent(node, start, node, start + "these words".length);
    }
  });
  const selected = () => chat.page.evaluate(() => getSelection()!.toString());
  expect(await selected()).toBe("these words");
  for (const piece of ["More in the same paragraph. ", "And more.\n\n", "Another paragraph. ", "\n\nAnd a third."]) {
    await upstream.send(piece);
    await expect(chat.answer()).toContainText(piece.trim());
    await chat.drawn();
    expect(await selected()).toBe("these words");
  }
  await upstream.finish();
  await chat.finished();
  expect(await selected()).toBe("these words");
});

test("the composer that grows and a window that shrinks do not lose the end @desktop", async ({ chat, upstream }) => {
  const view = await streamLongAnswer(chat, upstream);
  await chat.composer.fill("one\ntwo\nthree\nfour\nfive");
  await stream(chat, upstream, 13, 13);
  await view.expectAtEnd();
  await chat.page.setViewportSize({ width: 800, height: 500 });
  await stream(chat, upstream, 14, 14);
  await view.expectAtEnd();
  await upstream.finish();
});
