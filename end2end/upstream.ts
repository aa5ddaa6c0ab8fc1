/**
 * A provider that speaks OpenAI's streamed Chat Completions over real HTTP and does what a test says.
 * What it says in another API, a test writes down itself.
 *
 * A test plans the answers in the order of the requests (`willAnswer`, `willFail`, …); the last plan
 * is repeated. Without a plan the reply waits for the test, which releases every piece by itself
 * (`send`, `finish`), so that nothing depends on time.
 *
 * It imitates no particular provider and judges nothing: tests ask it what it saw.
 */
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { Exchange, type ChatBody } from "./exchange.ts";

/** How long a test may wait for the upstream to see something, before it fails. */
const PATIENCE_MS = 10_000;

/** What the upstream does with one request. */
export type Script = (exchange: Exchange) => void | Promise<void>;

export class Upstream {
  /** Every chat request so far with its reply, the oldest first. */
  readonly exchanges: Exchange[] = [];
  private readonly plans: Script[] = [];
  private repeated: Script | undefined;
  private readonly changes = new EventEmitter();
  private readonly server: Server;

  private constructor() {
    this.changes.setMaxListeners(0);
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  /** Starts an upstream on a free port. */
  static async listen(): Promise<Upstream> {
    const upstream = new Upstream();
    upstream.server.listen(0, "127.0.0.1");
    await once(upstream.server, "listening");
    return upstream;
  }

  /** What a server takes as `OPENAI_BASE_URL`. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** Ends every connection and frees the port. */
  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  // Planned answers.

  /** Does with the next request what the script says. */
  will(script: Script): void {
    this.plans.push(script);
  }

  /** The test itself releases the answer, piece by piece. */
  willWait(): void {
    this.will(() => {});
  }

  /** Answers with these pieces, each in a write of its own, and ends well. */
  willAnswer(pieces: Iterable<string>, { everyMs = 0, finish = "stop" } = {}): void {
    this.will(async (exchange) => {
      for (const piece of pieces) {
        await exchange.text(piece);
        if (everyMs > 0) await passed(everyMs);
        if (exchange.isClosed) return;
      }
      await exchange.finish(finish);
    });
  }

  /** Answers with a status that is no success. */
  willFail(status: number, body: unknown = { error: { message: "scripted failure" } }, headers: Record<string, string> = {}): void {
    this.will((exchange) => exchange.reply(status, JSON.stringify(body), { "content-type": "application/json", ...headers }));
  }

  /** Answers with a whole body of any kind, such as a login page. */
  willReply(status: number, body: string, headers: Record<string, string>): void {
    this.will((exchange) => exchange.reply(status, body, headers));
  }

  /** Begins to answer and closes the connection in the middle. */
  willCutAfter(...pieces: string[]): void {
    this.will(async (exchange) => {
      for (const piece of pieces) await exchange.text(piece);
      exchange.cut();
    });
  }

  /** Begins to answer and then is silent with the connection open; without a piece it never begins. */
  willHangAfter(...pieces: string[]): void {
    this.will(async (exchange) => {
      for (const piece of pieces) await exchange.text(piece);
    });
  }

  /** Reads the request and never answers. */
  willHang(): void {
    this.willHangAfter();
  }

  /** Begins to answer and then sends these bytes as they are. */
  willSendAfter(pieces: string[], raw: string): void {
    this.will(async (exchange) => {
      for (const piece of pieces) await exchange.text(piece);
      await exchange.raw(raw);
      exchange.end();
    });
  }

  // An answer that the test releases itself.

  /** Sends a piece of the answer to the request that is waiting for it. */
  async send(piece: string): Promise<void> {
    await (await this.waiting()).text(piece);
  }

  /** Sends a piece of reasoning. */
  async think(piece: string): Promise<void> {
    await (await this.waiting()).reasoning(piece);
  }

  /** Sends bytes as they are. */
  async sendRaw(bytes: string | Uint8Array): Promise<void> {
    await (await this.waiting()).raw(bytes);
  }

  /** Ends the answer well. */
  async finish(reason = "stop"): Promise<void> {
    await (await this.waiting()).finish(reason);
  }

  /** Closes the connection in the middle of the answer. */
  async cut(): Promise<void> {
    (await this.waiting()).cut();
  }

  // What it saw.

  /** The request with this number, counted from 1, as soon as it is there. */
  async request(number = this.exchanges.length + 1): Promise<Exchange> {
    return this.until(`request ${number}`, () => this.exchanges[number - 1]);
  }

  /** When the newest request's connection was closed by the client before the answer's end, in Unix milliseconds. */
  async closedByClient(): Promise<number> {
    return this.until("the client to close the connection", () => this.exchanges.at(-1)?.closedByClientAt);
  }

  /** The newest request that still has no end, as soon as there is one. */
  private async waiting(): Promise<Exchange> {
    return this.until("a request to answer", () => {
      const newest = this.exchanges.at(-1);
      return newest?.isClosed ? undefined : newest;
    });
  }

  private async until<T>(what: string, look: () => T | undefined): Promise<T> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      try {
        await once(this.changes, "change", { signal });
      } catch {
        throw new Error(`the scripted upstream waited ${PATIENCE_MS} ms for ${what}; it saw ${this.exchanges.length} requests`);
      }
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.url).pathname;
    if (path === "/v1/models") {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ id: "scripted", object: "model", created: 1, owned_by: "test" }] }));
      return;
    }
    if (request.method !== "POST" || !["/v1/chat/completions", "/v1/responses"].includes(path)) {
      response.writeHead(404).end();
      return;
    }
    const body = await readJson(request);
    if (body === undefined) return;
    const exchange = new Exchange(path, request.headers, body, response);
    this.exchanges.push(exchange);
    response.once("close", () => this.changes.emit("change"));
    this.repeated = this.plans.shift() ?? this.repeated;
    this.changes.emit("change");
    await this.repeated?.(exchange);
  }
}

/** The body of a request, or nothing if the client left before its end. */
async function readJson(request: IncomingMessage): Promise<ChatBody | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as ChatBody;
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
