/** Everybody can use the page: with a screen reader, large type, a small screen, little motion. */
import { AxeBuilder } from "@axe-core/playwright";

import { expect, test } from "../fixtures.ts";
import type { Chat } from "../chat.ts";
import type { Upstream } from "../upstream.ts";

const states: { state: string; reach: (chat: Chat, upstream: Upstream) => Promise<void> }[] = [
  { state: "empty", reach: (chat) => chat.open() },
  {
    state: "streaming",
    reach: async (chat, upstream) => {
      await chat.open();
      await chat.ask("A question on the way");
      await upstream.send("An answer on the way");
      await expect(chat.answer()).toContainText("An answer on the way");
    },
  },
  {
    state: "finished",
    reach: async (chat, upstream) => {
      upstream.willAnswer(["An answer."]);
      upstream.willAnswer(["Another answer."]);
      await chat.open();
      await chat.ask("A question with two answers");
      await chat.finished();
      await chat.answer().hover();
      await chat.answer().getByRole("button", { name: "Regenerate" }).click();
      await expect(chat.answer()).toContainText("2 of 2");
      await chat.finished();
      await chat.composer.fill("A draft");
    },
  },
  {
    state: "stopped",
    reach: async (chat, upstream) => {
      await chat.open();
      await chat.ask("A question to take back");
      await upstream.send("Half an answer");
      await chat.stop.click();
      await expect(chat.answer()).toContainText("Stopped");
    },
  },
  {
    state: "error",
    reach: async (chat, upstream) => {
      upstream.willCutAfter("Half an answer");
      await chat.open();
      await chat.ask("A question without luck");
      await expect(chat.alert).toBeVisible();
    },
  },
];

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme });

    for (const { state, reach } of states) {
      test(`axe finds nothing wrong with the page that is ${state}`, async ({ chat, upstream, page }) => {
        await reach(chat, upstream);
        await chat.drawn();
        const { violations, passes } = await new AxeBuilder({ page }).setLegacyMode().analyze();
        expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`))).toEqual([]);
        expect(passes.map(({ id }) => id), "axe looked at colours, too").toContain("color-contrast");
      });
    }

    test("the page is drawn in that scheme", async ({ chat, page }) => {
      await chat.open();
      const lightness = await page.evaluate(() => {
        const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
        const of = (color: string) => {
          canvas.fillStyle = color;
          canvas.fillRect(0, 0, 1, 1);
          const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
          return (red! + green! + blue!) / 3;
        };
        const style = getComputedStyle(document.body);
        const root = getComputedStyle(document.documentElement);
        const background = style.backgroundColor === "rgba(0, 0, 0, 0)" ? root.backgroundColor : style.backgroundColor;
        return { background: of(background), text: of(style.color) };
      });
      if (colorScheme === "light") expect(lightness.background).toBeGreaterThan(lightness.text);
      else expect(lightness.background).toBeLessThan(lightness.text);
    });
  });
}

test("a screen reader is told what happens, not every word", async ({ chat, upstream }) => {
  await chat.open();
  const told = await chat.status.evaluateHandle((status) => {
    const told: string[] = [];
    new MutationObserver(() => {
      const text = status.textContent!.trim();
      if (text !== told.at(-1)) told.push(text);
    }).observe(status, { childList: true, characterData: true, subtree: true });
    return told;
  });
  await chat.ask("Tell me something short");
  await upstream.send("Three little ");
  await expect(chat.answer()).toContainText("Three little");
  await expect(chat.status).toHaveText("Answering");
  await upstream.send("words");
  await expect(chat.answer()).toContainText("words");
  await upstream.finish();
  await expect(chat.status).toHaveText("Answer complete, 3 words");
  expect((await told.jsonValue()).filter((text) => text !== "")).toEqual(["Answering", "Answer complete, 3 words"]);
  // The log itself would read every piece of a word aloud while it grows.
  await expect(chat.conversation).toHaveAttribute("aria-live", "off");
});

test("the headings and landmarks make sense", async ({ chat, page }) => {
  await chat.open();
  await expect(page.getByRole("main")).toHaveCount(1);
  await expect(page).toHaveTitle(/Rill/);
  expect(await page.locator("html").getAttribute("lang")).toBe("en");
  expect(await page.locator("meta[name=viewport]").getAttribute("content")).not.toMatch(/user-scalable=no|maximum-scale/);
});

/** The width of a small phone; and of a window of 1280 pixels at 400 %, and one of 640 at 200 %. */
for (const { size, width, height } of [
  { size: "at 320 pixels", width: 320, height: 640 },
  { size: "at 200 % zoom", width: 640, height: 400 },
]) {
  test(`nothing is cut off ${size}`, async ({ chat, upstream, page }) => {
    await page.setViewportSize({ width, height });
    upstream.willCutAfter("A-very-long-word-".repeat(30), "\n\n", "漢字".repeat(100), "\n\n", "short");
    await chat.open();
    const tooWide = () =>
      page.evaluate(() =>
        [...document.querySelectorAll("html, body, body *")]
          .filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth && /auto|scroll/.test(getComputedStyle(element).overflowX))
          .concat(document.scrollingElement!.scrollWidth > innerWidth ? [document.documentElement] : [])
          .map((element) => element.outerHTML.slice(0, 80)),
      );
    expect(await tooWide(), "what scrolls sideways on the empty page").toEqual([]);
    await chat.ask(`https://example.test/${"path/".repeat(80)}`);
    await expect(chat.alert).toBeVisible();
    expect(await tooWide(), "what scrolls sideways with a conversation").toEqual([]);
    for (const thing of [chat.composer, chat.send, chat.answer().getByRole("button", { name: "Retry" })]) {
      await thing.scrollIntoViewIfNeeded();
      const box = (await thing.boundingBox())!;
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(width);
    }
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().withRules(["target-size"]).analyze();
    expect(violations.flatMap(({ nodes }) => nodes.map(({ html }) => html))).toEqual([]);
  });
}

for (const { reducedMotion, moves } of [
  { reducedMotion: "no-preference", moves: "blinks" },
  { reducedMotion: "reduce", moves: "stands still" },
] as const) {
  test.describe(`with motion "${reducedMotion}"`, () => {
    test.use({ contextOptions: { reducedMotion } });

    test(`the cursor ${moves}`, async ({ chat, upstream }) => {
      await chat.open();
      await chat.ask("Show me the cursor");
      await upstream.send("Here.");
      await expect(chat.answer()).toContainText("Here.");
      await expect(chat.cursor).toBeVisible();
      const running = await chat.page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === "running").length);
      if (reducedMotion === "reduce") expect(running).toBe(0);
      else expect(running).toBeGreaterThan(0);
      await upstream.finish();
    });
  });
}

test("text is set in the direction of its own script", async ({ chat, upstream }) => {
  upstream.willAnswer(["هذا جواب."]);
  await chat.open();
  await chat.ask("اكتب جوابا قصيرا");
  await chat.finished();
  for (const message of [chat.question(1), chat.answer()]) {
    expect(await message.locator("[data-text]").evaluate((text) => getComputedStyle(text.querySelector("[dir=auto]") ?? text).direction)).toBe("rtl");
  }
});
