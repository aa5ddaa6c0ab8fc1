/** A long conversation, saved as an import saves it. */
import type { Rill } from "./rill.ts";
import { Store } from "./store.ts";

const FILLER = "The river finds its way between **stones** and roots, `where` nothing was planned.\n\n- one\n- two\n\n";

export interface Long {
  /** How many messages. */
  messages: number;
  /** How often each answer says its filler. */
  filler?: number;
  /** Further messages, by their own number and that of the message that they follow. */
  branches?: { number: number; after: number; text: string }[];
}

/** Saves a conversation of questions and answers, of which the last one is shown, and gives its id. */
export async function saveLong(rill: Rill, { messages, filler = 2, branches = [] }: Long): Promise<string> {
  const id = (number: number) => `${String(number).padStart(8, "0")}-0000-4000-8000-000000000000`;
  const message = (number: number, after: number, text: string) => ({
    id: id(number),
    ...(after >= 0 ? { parent: id(after) } : {}),
    role: number % 2 === 0 ? "user" : "assistant",
    text,
    created_at: 1_700_000_000_000 + number,
    state: { done: { finish: "stop" } },
  });
  const line = Array.from({ length: messages }, (_, number) => {
    const text = number % 2 === 0 ? `Question ${number}?` : `Answer ${number} begins. ${FILLER.repeat(filler)}\n\nSo ends answer ${number}.`;
    return message(number, number - 1, text);
  });
  const more = branches.map(({ number, after, text }) => message(number, after, text));
  const conversation = {
    id: id(99_999_999),
    title: "A long talk",
    created_at: 1_700_000_000_000,
    updated_at: 1_700_000_001_000,
    leaf: id(messages - 1),
    messages: [...line, ...more],
  };
  const response = await fetch(`${rill.url}/api/import`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ format: "rill", version: 1, conversations: [conversation] }),
  });
  if (!response.ok) throw new Error(await response.text());
  const [only] = await new Store(rill).list();
  return only!.id;
}
