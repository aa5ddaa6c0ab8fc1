/**
 * What of the conversation is in view: where the page is scrolled to, and the ways in which a person
 * scrolls. It finds by itself which element scrolls.
 */
import { expect, type JSHandle } from "@playwright/test";

import type { Chat } from "./chat.ts";

/** Nearer to the end than this is at the end: a browser rounds positions. */
const AT_END_PX = 4;

export class View {
  constructor(private readonly chat: Chat) {}

  /** How far the view is scrolled down. */
  async top(): Promise<number> {
    return (await this.measure()).top;
  }

  /** Expects that the end of the conversation is in view. */
  async expectAtEnd(): Promise<void> {
    await expect.poll(async () => (await this.measure()).below, { message: "hidden below the view" }).toBeLessThanOrEqual(AT_END_PX);
  }

  /** Expects that some of the conversation is hidden below. */
  async expectAway(): Promise<void> {
    await expect.poll(async () => (await this.measure()).below, { message: "hidden below the view" }).toBeGreaterThan(AT_END_PX);
  }

  /** Waits until the view has come to rest, after a gesture that goes on by itself. */
  async atRest(): Promise<void> {
    let last = Number.NaN;
    await expect
      .poll(async () => {
        await this.chat.drawn();
        const top = await this.top();
        const isStill = top === last;
        last = top;
        return isStill;
      })
      .toBe(true);
  }

  /** Turns the mouse wheel over the conversation; up is negative. */
  async wheel(pixels: number): Promise<void> {
    await this.chat.conversation.hover({ position: { x: 100, y: 60 }, force: true });
    await this.chat.page.mouse.wheel(0, pixels);
    await this.atRest();
  }

  /** Strokes over the conversation with a finger; downwards shows what is above. */
  async stroke(direction: "down" | "up"): Promise<void> {
    const { width, height } = this.chat.page.viewportSize()!;
    const [from, to] = direction === "down" ? [0.25, 0.55] : [0.55, 0.25];
    const devtools = await this.chat.devtools();
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", y?: number) =>
      devtools.send("Input.dispatchTouchEvent", { type, touchPoints: y === undefined ? [] : [{ x: width / 2, y: Math.round(y * height) }] });
    await touch("touchStart", from);
    for (let step = 1; step <= 10; step += 1) await touch("touchMove", from + ((to - from) * step) / 10);
    await touch("touchEnd");
    await this.atRest();
  }

  /** Strokes upwards until the end is reached. How far a stroke goes on by itself depends on how fast it was. */
  async strokeToEnd(): Promise<void> {
    for (let strokes = 0; strokes < 20 && (await this.measure()).below > AT_END_PX; strokes += 1) await this.stroke("up");
  }

  /** Notes the position of every frame from now on; the function that it gives reads the notes. */
  async watch(): Promise<() => Promise<number[]>> {
    const scroller = await this.scroller();
    const tops = await scroller.evaluateHandle((element) => {
      const tops: number[] = [];
      const note = () => {
        tops.push(element.scrollTop);
        requestAnimationFrame(note);
      };
      note();
      return tops;
    });
    return () => tops.jsonValue();
  }

  private async measure(): Promise<{ top: number; below: number }> {
    const scroller = await this.scroller();
    return scroller.evaluate(({ scrollTop, scrollHeight, clientHeight }) => ({ top: scrollTop, below: scrollHeight - clientHeight - scrollTop }));
  }

  private scroller(): Promise<JSHandle<Element>> {
    return this.chat.conversation.evaluateHandle((log: Element) => {
      for (let element: Element | null = log; element; element = element.parentElement) {
        if (/auto|scroll/.test(getComputedStyle(element).overflowY)) return element;
      }
      return document.scrollingElement!;
    });
  }
}
