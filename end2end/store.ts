/**
 * What the server has saved, asked for as any other program would: over HTTP.
 */
import type { Rill } from "./rill.ts";

/** A message as it is saved, as far as tests look at it. */
export interface SavedMessage {
  id: string;
  parent?: string;
  role: "user" | "assistant";
  text: string;
  state: "interrupted" | { streaming: { generation: string } } | { done: { finish: string } } | { error: { kind: string } };
}

/** A conversation as it is saved. */
export interface SavedConversation {
  id: string;
  title: string;
  pinned: boolean;
  messages: SavedMessage[];
}

/** A conversation as the list tells of it. */
export interface Summary {
  id: string;
  title: string;
  pinned: boolean;
  running: boolean;
  unread: boolean;
}

export class Store {
  constructor(private readonly rill: Rill) {}

  /** All conversations, in the order of the list. */
  async list(): Promise<Summary[]> {
    return (await this.ask<{ conversations: Summary[] }>("list", {})).conversations;
  }

  /** A whole conversation. */
  get(id: string): Promise<SavedConversation> {
    return this.ask("get", { id });
  }

  /** The newest reply of the only conversation there is. */
  async reply(): Promise<SavedMessage> {
    const [only, ...others] = await this.list();
    if (!only || others.length > 0) throw new Error(`expected one conversation, there are ${others.length + (only ? 1 : 0)}`);
    const { messages } = await this.get(only.id);
    const reply = messages.filter(({ role }) => role === "assistant").at(-1);
    if (!reply) throw new Error("the conversation has no reply");
    return reply;
  }

  private async ask<T>(what: string, body: unknown): Promise<T> {
    const response = await fetch(`${this.rill.url}/api/conversations/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}
