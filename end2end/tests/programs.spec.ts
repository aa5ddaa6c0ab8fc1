/**
 * Programs other than the page, as their authors run them: OpenAI's official library for JavaScript,
 * `curl`, and a plain page with the browser's own `EventSource`.
 */
import { spawn } from "node:child_process";
import OpenAI from "openai";
import { ChatCompletionStream } from "openai/lib/ChatCompletionStream";

import { expect, test } from "../fixtures.ts";
import { KEY, type Rill } from "../rill.ts";
import type { Script } from "../upstream.ts";

/** A client that knows this server and has no key of its own. */
function client(rill: Rill, options: { maxRetries?: number } = {}): OpenAI {
  return new OpenAI({ baseURL: `${rill.url}/v1`, apiKey: "none", maxRetries: 0, ...options });
}

const question = { model: "scripted", messages: [{ role: "user" as const, content: "Why do zebrafish glow?" }] };

const completion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "scripted",
  choices: [{ index: 0, message: { role: "assistant", content: "Because.", refusal: null }, finish_reason: "stop", logprobs: null }],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
};

/** The first chunk of a stream as OpenAI writes it: the library wants to hear who speaks. */
const begun = `data: ${JSON.stringify({ ...completion, object: "chat.completion.chunk", usage: null, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] })}\n\n`;

/** An answer of these pieces, as OpenAI writes it. */
function saying(...pieces: string[]): Script {
  return async (exchange) => {
    await exchange.raw(begun);
    for (const piece of pieces) await exchange.text(piece);
    await exchange.finish();
  };
}

function event(data: { type: string; [field: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

test.describe("OpenAI's library for JavaScript", () => {
  test("gets a whole completion, and the provider gets our key in the place of its own", async ({ rill, upstream }) => {
    upstream.willReply(200, JSON.stringify(completion), { "content-type": "application/json" });
    const answer = await client(rill).chat.completions.create(question);
    expect(answer.choices[0]?.message.content).toBe("Because.");
    expect(answer.usage?.total_tokens).toBe(3);
    const { headers, body } = await upstream.request(1);
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(body).toEqual(question);
  });

  test("streams: as an iterator, by its helper, and on to a browser", async ({ rill, upstream }) => {
    upstream.will(saying("Be", "cau", "se."));
    let text = "";
    for await (const chunk of await client(rill).chat.completions.create({ ...question, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toBe("Because.");

    const deltas: string[] = [];
    const stream = client(rill).chat.completions.stream(question).on("content", (delta) => deltas.push(delta));
    expect(await stream.finalContent()).toBe("Because.");
    expect(deltas).toEqual(["Be", "cau", "se."]);

    const relayed = client(rill).chat.completions.stream(question).toReadableStream();
    expect(await ChatCompletionStream.fromReadableStream(relayed).finalContent()).toBe("Because.");
  });

  test("sees a piece as soon as the provider has written it", async ({ rill, upstream }) => {
    upstream.willWait();
    const asked = client(rill).chat.completions.create({ ...question, stream: true });
    await upstream.send("first");
    const chunks = (await asked)[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.choices[0]?.delta.content).toBe("first");
    await upstream.send("second");
    expect((await chunks.next()).value?.choices[0]?.delta.content).toBe("second");
    await upstream.finish();
  });

  test("aborts, and the provider's connection is closed", async ({ rill, upstream }) => {
    upstream.will(async (exchange) => {
      await exchange.raw(begun);
      await exchange.text("first");
    });
    const stream = client(rill).chat.completions.stream(question);
    const ended = stream.done().catch((error: Error) => error);
    stream.on("content", () => stream.abort());
    expect(await ended).toBeInstanceOf(OpenAI.APIUserAbortError);
    await upstream.closedByClient();
  });

  test("gets calls of tools, and sends what a structured answer needs", async ({ rill, upstream }) => {
    const call = (piece: object) => `data: ${JSON.stringify({ ...completion, object: "chat.completion.chunk", usage: null, choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...piece }] }, finish_reason: null }] })}\n\n`;
    upstream.will(async (exchange) => {
      await exchange.raw(begun);
      await exchange.raw(call({ id: "call_1", type: "function", function: { name: "glow", arguments: "" } }));
      await exchange.raw(call({ function: { arguments: '{"fish":' } }));
      await exchange.raw(call({ function: { arguments: '"zebra"}' } }));
      await exchange.finish("tool_calls");
    });
    const tools = [{ type: "function" as const, function: { name: "glow", parameters: { type: "object" } } }];
    const message = await client(rill).chat.completions.stream({ ...question, tools }).finalMessage();
    const called = message.tool_calls?.[0];
    expect(called).toMatchObject({ id: "call_1", function: { name: "glow", arguments: '{"fish":"zebra"}' } });
    expect((await upstream.request(1)).body["tools"]).toEqual(tools);

    upstream.willReply(200, JSON.stringify(completion), { "content-type": "application/json" });
    const response_format = { type: "json_schema" as const, json_schema: { name: "reason", strict: true, schema: { type: "object" } } };
    await client(rill).chat.completions.create({ ...question, response_format });
    expect((await upstream.request(2)).body["response_format"]).toEqual(response_format);
  });

  test("gets the provider's errors as they are, and retries as it does with OpenAI", async ({ rill, upstream }) => {
    const error = { message: "Unsupported parameter", type: "invalid_request_error", param: "seed", code: "unsupported_parameter" };
    upstream.willFail(400, { error }, { "x-request-id": "req_1" });
    const refused = await client(rill).chat.completions.create(question).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(OpenAI.BadRequestError);
    expect(refused).toMatchObject({ status: 400, code: "unsupported_parameter", param: "seed", requestID: "req_1" });

    upstream.willFail(429, { error: { message: "slow down" } }, { "retry-after-ms": "10" });
    upstream.willReply(200, JSON.stringify(completion), { "content-type": "application/json" });
    const answer = await client(rill, { maxRetries: 2 }).chat.completions.create(question);
    expect(answer.choices[0]?.message.content).toBe("Because.");
    expect(upstream.exchanges.length).toBe(3);

    upstream.willFail(401, { error: { message: `Incorrect API key provided: ${KEY}` } });
    const wrong = await client(rill).chat.completions.create(question).catch((error: unknown) => error);
    expect(wrong).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(String(wrong)).not.toContain(KEY);
  });

  test("speaks the Responses API, whole and streamed", async ({ rill, upstream }) => {
    const message = { id: "msg_1", type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: "Because.", annotations: [] }] };
    const response = { id: "resp_1", object: "response", created_at: 1, model: "scripted", status: "completed", error: null, incomplete_details: null, output: [message], usage: null };
    const asked = { model: "scripted", input: "Why do zebrafish glow?" };
    upstream.willReply(200, JSON.stringify(response), { "content-type": "application/json" });
    expect((await client(rill).responses.create(asked)).output_text).toBe("Because.");
    expect(await upstream.request(1)).toMatchObject({ path: "/v1/responses", body: asked });

    upstream.will(async (exchange) => {
      const begun = { ...response, status: "in_progress", output: [] };
      const part = { item_id: "msg_1", output_index: 0, content_index: 0 };
      await exchange.raw(event({ type: "response.created", sequence_number: 0, response: begun }));
      await exchange.raw(event({ type: "response.output_item.added", sequence_number: 1, output_index: 0, item: { ...message, status: "in_progress", content: [] } }));
      await exchange.raw(event({ type: "response.content_part.added", sequence_number: 2, ...part, part: { type: "output_text", text: "", annotations: [] } }));
      for (const [number, delta] of ["Be", "cause."].entries()) {
        await exchange.raw(event({ type: "response.output_text.delta", sequence_number: 3 + number, ...part, delta, logprobs: [] }));
      }
      await exchange.raw(event({ type: "response.completed", sequence_number: 5, response }));
      exchange.end();
    });
    const deltas: string[] = [];
    const stream = client(rill).responses.stream(asked).on("response.output_text.delta", ({ delta }) => deltas.push(delta));
    expect((await stream.finalResponse()).output_text).toBe("Because.");
    expect(deltas).toEqual(["Be", "cause."]);
  });

  test("lists the models", async ({ rill }) => {
    const ids = [];
    for await (const model of client(rill).models.list()) ids.push(model.id);
    expect(ids).toEqual(["scripted"]);
    expect((await client(rill).models.retrieve("scripted")).object).toBe("model");
  });

  test("reads the chat's own chunks", async ({ rill, upstream }) => {
    upstream.willAnswer(["Be", "cau", "se."]);
    const asked = (accept: string) =>
      fetch(`${rill.url}/api/chat`, { method: "POST", headers: { "content-type": "application/json", accept }, body: JSON.stringify({ messages: question.messages }) });
    const stream = ChatCompletionStream.fromReadableStream((await asked("application/x-ndjson")).body!);
    const answer = await stream.finalChatCompletion();
    expect(answer.choices[0]).toMatchObject({ message: { role: "assistant", content: "Because." }, finish_reason: "stop" });
    expect(answer.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 });

    upstream.willCutAfter("Be");
    const cut = ChatCompletionStream.fromReadableStream((await asked("application/x-ndjson")).body!);
    await expect(cut.finalContent()).rejects.toThrow();
  });
});

test("curl shows the text as it comes", async ({ rill, upstream }) => {
  upstream.willWait();
  const curl = spawn("curl", ["-sN", "-H", "accept: text/plain", "-H", "content-type: application/json", "-d", JSON.stringify({ messages: question.messages }), `${rill.url}/api/chat`]);
  let shown = "";
  curl.stdout.setEncoding("utf8").on("data", (text: string) => (shown += text));
  const code = new Promise((resolve) => curl.once("close", resolve));
  for (const piece of ["Be", "cau", "se 東京."]) {
    const before = shown;
    await upstream.send(piece);
    await expect.poll(() => shown).toBe(before + piece);
  }
  await upstream.finish();
  expect(await code).toBe(0);
  expect(shown).toBe("Because 東京.");

  upstream.willCutAfter("half");
  const cut = spawn("curl", ["-sN", "-H", "accept: text/plain", "-H", "content-type: application/json", "-d", JSON.stringify({ messages: question.messages }), `${rill.url}/api/chat`]);
  expect(await new Promise((resolve) => cut.once("close", resolve)), "a half is told from a whole").not.toBe(0);
});

/** Everything that a page needs for a streamed answer. */
const PAGE = `<!doctype html>
<title>Ask</title>
<form><input name="q" aria-label="Question"><button>Ask</button></form>
<pre role="log"></pre>
<script>
  document.forms[0].onsubmit = (event) => {
    event.preventDefault();
    const log = document.querySelector("pre");
    const source = new EventSource("api/chat?q=" + encodeURIComponent(event.target.q.value));
    source.onmessage = (e) => log.append(JSON.parse(e.data));
    source.addEventListener("done", () => { source.close(); log.append(" (done)"); });
    source.addEventListener("error", (e) => { if (e.data) { source.close(); log.append(JSON.parse(e.data).message); } });
  };
</script>`;

test("a plain page reads it with the browser's own EventSource", async ({ page, rill, upstream }) => {
  await page.route("**/plain.html", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body: PAGE }));
  await page.goto(`${rill.url}/plain.html`);
  upstream.willWait();
  await page.getByRole("textbox", { name: "Question" }).fill("Why do zebrafish\nglow & 東京?");
  await page.getByRole("button", { name: "Ask" }).click();
  await upstream.send("Be\n");
  await expect(page.getByRole("log")).toHaveText("Be");
  await upstream.send("cause.");
  await upstream.finish();
  await expect(page.getByRole("log")).toHaveText(/Be\s+cause\. \(done\)/);
  expect(upstream.exchanges.map(({ history }) => history)).toEqual([["user: Why do zebrafish glow & 東京?"]]);

  // A stream that breaks off makes a browser connect again by itself, which must not ask again.
  upstream.willCutAfter("Hel");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.getByRole("log")).toContainText("The provider's connection ended before the answer did");
  await page.evaluate(async () => {
    const again = await fetch("api/chat?q=again", { headers: { accept: "text/event-stream", "last-event-id": "1" } });
    if (again.status !== 204) throw new Error(`status ${again.status}`);
  });
  expect(upstream.exchanges.length).toBe(2);
});
