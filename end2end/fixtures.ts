/**
 * What every test has: an upstream to direct, a server in front of it, and the page as a person
 * meets it. All three are the test's own and new, so no test can touch another.
 */
import { test as base } from "@playwright/test";

import { Chat } from "./chat.ts";
import { Guard } from "./guard.ts";
import { KEY, Rill } from "./rill.ts";
import { Upstream } from "./upstream.ts";

export { expect } from "@playwright/test";

/** Limits that no test meets by accident, however busy the machine is. */
const PATIENT = { connect: "10s", firstByte: "60s", idle: "60s", comment: "60s", total: "120s" };

/** What a test file can set with `test.use`. */
export interface Options {
  /** Flags of the server beside its address. */
  flags: string[];
  /** Variables of the server beside those that lead it to the upstream. */
  environment: Record<string, string>;
}

interface Fixtures {
  upstream: Upstream;
  rill: Rill;
  guard: Guard;
  chat: Chat;
}

export const test = base.extend<Options & Fixtures>({
  flags: [limits({}), { option: true }],
  environment: [{}, { option: true }],

  upstream: async ({}, use) => {
    const upstream = await Upstream.listen();
    await use(upstream);
    await upstream.close();
  },

  guard: async ({}, use) => {
    await use(new Guard());
  },

  rill: async ({ flags, environment, upstream, guard }, use, testInfo) => {
    const rill = await Rill.start(flags, { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: KEY, ...environment });
    await use(rill);
    await rill.kill();
    await testInfo.attach("server log", { body: rill.log, contentType: "text/plain" });
    guard.expectNoPanic(rill);
    guard.expectDiscreet(rill, upstream);
  },

  baseURL: async ({ rill }, use) => {
    await use(`${rill.url}/`);
  },

  context: async ({ context, rill, guard }, use) => {
    await guard.watch(context, rill.origin);
    await use(context);
    guard.expectCalm();
  },

  chat: async ({ page, context }, use) => {
    await use(new Chat(page, context));
  },
});

/**
 * The server's flags for time limits. A test that is about one of them names that one alone, so that
 * it cannot meet another by accident.
 */
export function limits(short: Partial<typeof PATIENT>): string[] {
  const { connect, firstByte, idle, comment, total } = { ...PATIENT, ...short };
  return [
    ["--connect-timeout", connect],
    ["--first-byte-timeout", firstByte],
    ["--idle-timeout", idle],
    ["--comment-timeout", comment],
    ["--total-timeout", total],
    ["--max-retries", "2"],
    ["--backoff-base", "50ms"],
    ["--grace-after-finish", "300ms"],
    ["--retry-after-cap", "5s"],
  ].flat();
}
