/**
 * One request to the scripted upstream and the reply to it, in the wire format of Chat Completions.
 *
 * What is sent when is the test's business (`upstream.ts`); this file knows only how it is written.
 */
import type { IncomingHttpHeaders, ServerResponse } from "node:http";

/** What Rill asks for or passes on, as far as tests look at it. */
export interface ChatBody {
  model: string;
  /** Missing where another API is asked. */
  messages?: { role: "system" | "user" | "assistant"; content: string }[];
  [field: string]: unknown;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
}

/** A piece of the answer as it goes over the wire. */
export function frame(text: string): string {
  return chunk([{ index: 0, delta: { content: text }, finish_reason: null }]);
}

export class Exchange {
  /** The pieces of the answer with the time when each was handed to the network, in Unix milliseconds. */
  readonly sent: { text: string; at: number }[] = [];
  /** When the client closed the connection before the reply's end, in Unix milliseconds. */
  closedByClientAt: number | undefined;
  private cutByUs = false;

  constructor(
    /** What was asked for, such as `/v1/chat/completions`. */
    readonly path: string,
    readonly headers: IncomingHttpHeaders,
    readonly body: ChatBody,
    private readonly response: ServerResponse,
  ) {
    response.once("close", () => {
      if (!response.writableFinished && !this.cutByUs) this.closedByClientAt = Date.now();
    });
  }

  /** The messages of the request, in short: `["user: …", "assistant: …"]`. */
  get history(): string[] {
    return (this.body.messages ?? []).map(({ role, content }) => `${role}: ${content}`);
  }

  /** Whether nothing more can be sent. */
  get isClosed(): boolean {
    return this.response.writableEnded || this.response.destroyed;
  }

  /** Sends the headers of a stream, without any of it. */
  begin(): void {
    if (this.response.headersSent) return;
    this.response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    this.response.flushHeaders();
  }

  /** Sends a piece of the answer. */
  async text(piece: string): Promise<void> {
    this.sent.push({ text: piece, at: Date.now() });
    await this.raw(frame(piece));
  }

  /** Sends a piece of reasoning. */
  async reasoning(piece: string): Promise<void> {
    await this.raw(chunk([{ index: 0, delta: { reasoning_content: piece }, finish_reason: null }]));
  }

  /** Sends bytes as they are. They have left this process when it returns. */
  async raw(bytes: string | Uint8Array): Promise<void> {
    if (this.isClosed) return;
    this.begin();
    // An error here means that the client has left, which `closedByClientAt` tells.
    await new Promise<void>((resolve) => this.response.write(bytes, () => resolve()));
  }

  /** Ends the answer well. */
  async finish(reason = "stop"): Promise<void> {
    await this.raw(chunk([{ index: 0, delta: {}, finish_reason: reason }]));
    if (this.body.stream_options?.include_usage) {
      await this.raw(chunk([], { prompt_tokens: 12, completion_tokens: this.sent.length, total_tokens: 12 + this.sent.length }));
    }
    await this.raw("data: [DONE]\n\n");
    this.end();
  }

  /** Ends the body, whatever was in it. */
  end(): void {
    this.begin();
    this.response.end();
  }

  /** Closes the connection in the middle of the body. */
  cut(): void {
    this.cutByUs = true;
    this.response.destroy();
  }

  /** Answers with a whole body. */
  reply(status: number, body: string, headers: Record<string, string>): void {
    this.response.writeHead(status, headers).end(body);
  }
}

function chunk(choices: unknown[], usage?: unknown): string {
  const body = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "scripted", choices, ...(usage ? { usage } : {}) };
  return `data: ${JSON.stringify(body)}\n\n`;
}
