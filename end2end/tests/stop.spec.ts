/** Stop ends a reply at once, here and at the provider, and keeps what was on the screen. */
import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";
import { watchEvent } from "../timing.ts";

/** The ways to stop, each with the event by which the page learns of it. */
const ways = [
  { way: "the button", event: "click", act: (chat: Chat) => chat.stop.click() },
  { way: "Esc", event: "keydown", act: (chat: Chat) => chat.page.keyboard.press("Escape") },
] as const;

for (const { way, event, act } of ways) {
  test(`${way} stops before the provider has answered`, async ({ chat, upstream }) => {
    upstream.willHang();
    await chat.open();
    await chat.ask("Never mind this one");
    await upstream.request(1);
    const pressed = await watchEvent(chat.page, event);
    await act(chat);
    expect((await upstream.closedByClient()) - (await pressed())).toBeLessThan(1000);
    await expectStopped(chat);
  });

  test(`${way} stops in the middle of the text and keeps it`, async ({ chat, upstream }) => {
    await chat.open();
    await chat.ask("Tell me a long story");
    await upstream.send("Once upon a time");
    await expect(chat.answer()).toContainText("Once upon a time");
    const pressed = await watchEvent(chat.page, event);
    await act(chat);
    expect((await upstream.closedByClient()) - (await pressed())).toBeLessThan(1000);
    await expectStopped(chat);
    await chat.expectText(chat.answer(), "Once upon a time");
  });
}

test("Stop works after the provider's headers and before its first text", async ({ chat, upstream }) => {
  upstream.will((exchange) => exchange.begin());
  await chat.open();
  await chat.ask("Begin, but say nothing");
  await upstream.request(1);
  const pressed = await watchEvent(chat.page, "click");
  await chat.stop.click();
  expect((await upstream.closedByClient()) - (await pressed())).toBeLessThan(1000);
  await expectStopped(chat);
});

test("Stop works at the moment of sending", async ({ chat, upstream }) => {
  upstream.willHang();
  await chat.open();
  // Both keys in one task of the page: the request cannot have left yet.
  await chat.composer.fill("Sent and taken back");
  await chat.composer.evaluate((composer) => {
    const press = (key: string, ctrlKey: boolean) =>
      composer.dispatchEvent(new KeyboardEvent("keydown", { key, code: key, ctrlKey, bubbles: true, cancelable: true }));
    // With Ctrl it sends on a phone, too.
    press("Enter", true);
    press("Escape", false);
  });
  await expectStopped(chat);
  // If the provider was asked at all, it was let go.
  for (const { isClosed } of upstream.exchanges) await expect.poll(() => isClosed).toBe(true);
});

test("a stopped answer is part of the conversation, an empty one is not", async ({ chat, upstream }) => {
  await chat.open();
  await chat.ask("The first question");
  await upstream.send("Half an answer");
  await expect(chat.answer()).toContainText("Half an answer");
  await chat.stop.click();
  await expect(chat.answer()).toContainText("Stopped");
  await chat.ask("The second question");
  await upstream.request(2);
  await chat.stop.click();
  await expect(chat.answer(2)).toContainText("Stopped");
  await chat.ask("The third question");
  const third = await upstream.request(3);
  expect(third.history[0]).toBe("user: The first question");
  expect(third.history[1]).toBe("assistant: Half an answer");
  // Providers want questions and answers in turn, so a question without an answer is joined with the next one.
  expect(third.history.slice(2)).toEqual(["user: The second question\n\nThe third question"]);
  expect(third.body.messages!.filter(({ content }) => content === "")).toEqual([]);
  await upstream.finish();
});

async function expectStopped(chat: Chat): Promise<void> {
  await expect(chat.answer()).toContainText("Stopped");
  await expect(chat.status).toHaveText("Stopped");
  await expect(chat.send).toBeVisible();
  await expect(chat.stop).toHaveCount(0);
  await expect(chat.cursor).toHaveCount(0);
  await expect(chat.alert).toHaveCount(0);
}
