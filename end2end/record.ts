/** A recording of sending a message, its answer, and Stop: `pictures/rill.webm`. */
import { expect, test } from "./fixtures.ts";

const SIZE = { width: 1120, height: 700 };

test.use({ viewport: SIZE, video: { mode: "on", size: SIZE } });

test("a message is sent, answered and stopped", async ({ chat, page }) => {
  await chat.open();
  await chat.composer.pressSequentially("Write a long text about rivers, which I will stop.", { delay: 45 });
  await page.keyboard.press("Enter");
  await expect(chat.answer()).toContainText("The water does not know.", { timeout: 60_000 });
  await chat.stop.click();
  await expect(chat.answer()).toContainText("Stopped");
  await chat.answer().hover();
  await page.close();
  await page.video()!.saveAs("pictures/rill.webm");
});
