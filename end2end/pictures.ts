/** A picture of each state of the page, on each size of screen, in light and dark. */
import { expect, test } from "./fixtures.ts";
import type { Chat } from "./chat.ts";

const SIZES = [
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 768, height: 1024 },
  { width: 390, height: 844 },
  { width: 320, height: 640 },
];

const suggestion = (chat: Chat, name: RegExp) => chat.page.getByRole("button", { name }).click();

async function rendered(chat: Chat): Promise<void> {
  await suggestion(chat, /^Show what you can render/);
  await expect(chat.status).toHaveText(/^Answer complete/, { timeout: 60_000 });
}

async function scrolled(chat: Chat, share: number): Promise<void> {
  await chat.conversation.evaluate((log, share) => (log.scrollTop = (log.scrollHeight - log.clientHeight) * share), share);
}

const STATES: Record<string, (chat: Chat) => Promise<void>> = {
  empty: async () => {},
  temporary: (chat) => chat.temporary(),
  reasoning: async (chat) => {
    await suggestion(chat, /^Explain streaming/);
    await expect(chat.answer()).toContainText("clearest form");
  },
  streaming: async (chat) => {
    await suggestion(chat, /^A long answer/);
    await expect(chat.answer()).toContainText("Where a river begins", { timeout: 20_000 });
  },
  stopped: async (chat) => {
    await suggestion(chat, /^A long answer/);
    await expect(chat.answer()).toContainText("Press Stop");
    await chat.stop.click();
    await expect(chat.answer()).toContainText("Stopped");
  },
  table: async (chat) => {
    await rendered(chat);
    await scrolled(chat, 0);
  },
  formulas: async (chat) => {
    await rendered(chat);
    await scrolled(chat, 0.6);
  },
  end: rendered,
  models: async (chat) => {
    await chat.model.click();
    await expect(chat.page.getByRole("option").first()).toBeVisible();
  },
  palette: async (chat) => {
    await chat.page.keyboard.press("Control+k");
    await expect(chat.palette.getByRole("option").first()).toBeVisible();
  },
  settings: (chat) => chat.openSettings(),
  shortcuts: (chat) => chat.chooseInMenu("Keyboard shortcuts"),
};

for (const { width, height } of SIZES) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`${width} ${colorScheme}`, () => {
      test.use({ viewport: { width, height }, colorScheme, hasTouch: width < 600 });

      for (const [state, reach] of Object.entries(STATES)) {
        test(state, async ({ chat, page }) => {
          await chat.open();
          await reach(chat);
          await chat.drawn();
          await page.screenshot({ path: `pictures/${state}-${width}-${colorScheme}.png` });
        });
      }
    });
  }
}
