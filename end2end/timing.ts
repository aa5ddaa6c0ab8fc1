/**
 * The times of changes in the page, in Unix milliseconds. The scripted upstream uses the same clock, so its times
 * can be compared with these.
 */
import type { Locator, Page } from "@playwright/test";

/** A state of the observed text and when it was first there. */
export interface Sight {
  at: number;
  text: string;
}

/** Notes every change of an element's text from now on; the function that it gives reads the notes. */
export async function watchText(element: Locator): Promise<() => Promise<Sight[]>> {
  const notes = await element.evaluateHandle((node: HTMLElement) => {
    const seen: { at: number; text: string }[] = [];
    new MutationObserver(() => {
      const text = node.textContent ?? "";
      if (seen.at(-1)?.text !== text) seen.push({ at: Date.now(), text });
    }).observe(node, { childList: true, characterData: true, subtree: true });
    return seen;
  });
  return () => notes.jsonValue();
}

/** Notes when an event first happens from now on, before any handler of the page sees it. */
export async function watchEvent(page: Page, type: "click" | "keydown"): Promise<() => Promise<number>> {
  const first = await page.evaluateHandle((type) => {
    const note = { at: Number.NaN };
    window.addEventListener(type, () => (note.at = Date.now()), { capture: true, once: true });
    return note;
  }, type);
  return async () => (await first.jsonValue()).at;
}
