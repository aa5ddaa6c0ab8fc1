/**
 * What must never happen in any test: the page complains, breaks its security policy, or asks
 * another host for anything; the server writes the key or what people say into its log.
 *
 * It collects while a test runs and judges at its end.
 */
import { expect, type BrowserContext } from "@playwright/test";

import type { Rill } from "./rill.ts";
import { KEY } from "./rill.ts";
import type { Upstream } from "./upstream.ts";

/** Shorter texts can occur in a log by coincidence. */
const TELLING_LENGTH = 8;

export class Guard {
  private readonly complaints: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Lets a complaint pass in this test, since the test itself causes it. */
  allow(complaint: RegExp): void {
    this.allowed.push(complaint);
  }

  /** Watches every page of a context. */
  async watch(context: BrowserContext, home: string): Promise<void> {
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complain(`console ${message.type()}: ${message.text()} (${message.location().url})`);
    });
    context.on("weberror", (error) => this.complain(`page error: ${error.error().stack ?? error.error().message}`));
    context.on("dialog", (dialog) => {
      this.complain(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== home && !["data:", "blob:"].includes(url.protocol)) this.complain(`request to another host: ${request.method()} ${request.url()}`);
    });
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`security policy: ${event.violatedDirective} blocked ${event.blockedURI}`);
      });
    });
  }

  /** Fails the test if the page complained. */
  expectCalm(): void {
    const unexpected = this.complaints.filter((complaint) => !this.allowed.some((pattern) => pattern.test(complaint)));
    expect(unexpected, "the page must not complain, break its policy or ask other hosts").toEqual([]);
  }

  /** Fails the test if the server's log holds a secret. */
  expectDiscreet(rill: Rill, upstream: Upstream): void {
    const said = upstream.exchanges.flatMap(({ body, sent }) => [...(body.messages ?? []).map(({ content }) => content), ...sent.map(({ text }) => text)]);
    const secrets = [KEY, ...said.map((text) => text.trim()).filter((text) => text.length >= TELLING_LENGTH)];
    expect([...new Set(secrets)].filter((secret) => rill.log.includes(secret)), "the log must hold no key and nothing that was said").toEqual([]);
  }

  /** Fails the test if the server panicked, also where that harmed nobody: it catches panics and answers 500. */
  expectNoPanic(rill: Rill): void {
    expect(rill.log.split("\n").filter((line) => line.includes("panicked at")), "the server must not panic").toEqual([]);
  }

  private complain(complaint: string): void {
    this.complaints.push(complaint);
  }
}
