"""OpenAI's official library for Python against the running server, in front of a scripted provider.

Run by scripts/test: RILL_BIN names the server; the library is installed beside this interpreter.
"""

import asyncio
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

KEY = "sk-test-SECRET"
PATIENCE = 10

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "scripted",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Because."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
MESSAGES = [{"role": "user", "content": "Why do zebrafish glow?"}]


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {**COMPLETION, "object": "chat.completion.chunk", "usage": None, "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


def event(data):
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"


STREAM = [chunk({"role": "assistant", "content": "Be"}), chunk({"content": "cause."}), chunk({}, "stop"), "data: [DONE]\n\n"]


class Provider(ThreadingHTTPServer):
    """Does with each request what the next plan says: a status and a body, or pieces of a stream."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plans = []
        self.requests = []
        self.left = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "test"}]}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        plan = self.server.plans.pop(0)
        if isinstance(plan, tuple):
            status, answer, *headers = plan
            return self.answer(status, json.dumps(answer), *headers)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in plan:
                data = piece.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.left.set()

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


class OpenAILibrary(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = Provider()
        cls.folder = tempfile.TemporaryDirectory()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {"OPENAI_BASE_URL": cls.provider.url, "OPENAI_API_KEY": KEY, "RILL_OLLAMA": "off", "RILL_DATA": cls.folder.name}
        cls.rill = subprocess.Popen(
            [os.environ["RILL_BIN"], "--listen", f"127.0.0.1:{port}"],
            cwd=cls.folder.name,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{cls.url}/healthz").read()
                break
            except OSError:
                if cls.rill.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.rill.terminate()
        cls.rill.wait(PATIENCE)
        cls.provider.shutdown()
        cls.provider.server_close()
        cls.folder.cleanup()

    def setUp(self):
        self.provider.requests.clear()
        self.provider.left.clear()

    def plan(self, *plans):
        self.provider.plans[:] = plans

    def client(self, retries=0):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=retries, timeout=PATIENCE)

    def test_a_whole_completion_and_our_key_in_the_place_of_its_own(self):
        self.plan((200, COMPLETION))
        answer = self.client().chat.completions.create(model="scripted", messages=MESSAGES, seed=7)
        self.assertEqual(answer.choices[0].message.content, "Because.")
        path, headers, body = self.provider.requests[0]
        self.assertEqual(path, "/v1/chat/completions")
        self.assertEqual(headers["authorization"], f"Bearer {KEY}")
        self.assertEqual(body, {"model": "scripted", "messages": MESSAGES, "seed": 7})

    def test_a_stream_as_an_iterator_and_by_its_helper(self):
        self.plan(STREAM, STREAM)
        stream = self.client().chat.completions.create(model="scripted", messages=MESSAGES, stream=True)
        self.assertEqual("".join(piece.choices[0].delta.content or "" for piece in stream), "Because.")
        with self.client().chat.completions.stream(model="scripted", messages=MESSAGES) as stream:
            deltas = [e.delta for e in stream if e.type == "content.delta"]
            answer = stream.get_final_completion()
        self.assertEqual(deltas, ["Be", "cause."])
        self.assertEqual(answer.choices[0].message.content, "Because.")

    def test_an_asynchronous_stream(self):
        self.plan(STREAM)

        async def ask():
            async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client:
                stream = await client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True)
                return [piece.choices[0].delta.content async for piece in stream]

        self.assertEqual(asyncio.run(ask()), ["Be", "cause.", None])

    def test_closing_the_stream_closes_the_providers_connection(self):
        def endless():
            while True:
                yield chunk({"content": "more " * 200})

        self.plan(endless())
        stream = self.client().chat.completions.create(model="scripted", messages=MESSAGES, stream=True)
        next(iter(stream))
        stream.close()
        self.assertTrue(self.provider.left.wait(PATIENCE))

    def test_calls_of_tools_and_a_structured_answer(self):
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "glow", "arguments": ""}}
        more = {"index": 0, "function": {"arguments": '{"fish":"zebra"}'}}
        self.plan([chunk({"tool_calls": [call]}), chunk({"tool_calls": [more]}), chunk({}, "tool_calls"), "data: [DONE]\n\n"])
        tools = [{"type": "function", "function": {"name": "glow", "parameters": {"type": "object"}}}]
        with self.client().chat.completions.stream(model="scripted", messages=MESSAGES, tools=tools) as stream:
            answer = stream.get_final_completion()
        self.assertEqual(answer.choices[0].message.tool_calls[0].function.arguments, '{"fish":"zebra"}')
        self.assertEqual(self.provider.requests[0][2]["tools"], tools)

        import pydantic

        class Reason(pydantic.BaseModel):
            reason: str

        message = {"role": "assistant", "content": '{"reason":"genes"}'}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.plan((200, {**COMPLETION, "choices": [choice]}))
        answer = self.client().chat.completions.parse(model="scripted", messages=MESSAGES, response_format=Reason)
        self.assertEqual(answer.choices[0].message.parsed.reason, "genes")
        self.assertEqual(self.provider.requests[1][2]["response_format"]["type"], "json_schema")

    def test_errors_are_the_providers_and_retries_the_librarys(self):
        error = {"error": {"message": "no", "type": "invalid_request_error", "param": "seed", "code": "unsupported_parameter"}}
        self.plan((400, error, {"x-request-id": "req_1"}))
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client().chat.completions.create(model="scripted", messages=MESSAGES)
        self.assertEqual((raised.exception.code, raised.exception.param), ("unsupported_parameter", "seed"))
        self.assertEqual(raised.exception.request_id, "req_1")

        self.plan((429, {"error": {"message": "slow down"}}, {"retry-after-ms": "10"}), (200, COMPLETION))
        answer = self.client(retries=2).chat.completions.create(model="scripted", messages=MESSAGES)
        self.assertEqual(answer.choices[0].message.content, "Because.")

        self.plan((401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))
        with self.assertRaises(openai.AuthenticationError) as raised:
            self.client().chat.completions.create(model="scripted", messages=MESSAGES)
        self.assertNotIn(KEY, str(raised.exception))

    def test_the_responses_api_whole_and_streamed(self):
        part = {"type": "output_text", "text": "Because.", "annotations": []}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        response = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": "scripted", "status": "completed",
            "error": None, "incomplete_details": None, "output": [message], "usage": None,
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        }
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        begun = {**response, "status": "in_progress", "output": []}
        events = [
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {**message, "status": "in_progress", "content": []}},
            {"type": "response.content_part.added", "sequence_number": 2, **place, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", "sequence_number": 3, **place, "delta": "Be", "logprobs": []},
            {"type": "response.output_text.delta", "sequence_number": 4, **place, "delta": "cause.", "logprobs": []},
            {"type": "response.completed", "sequence_number": 5, "response": response},
        ]
        self.plan((200, response), [event(e) for e in events])
        answer = self.client().responses.create(model="scripted", input="Why?")
        self.assertEqual(answer.output_text, "Because.")
        self.assertEqual(self.provider.requests[0][0], "/v1/responses")
        with self.client().responses.stream(model="scripted", input="Why?") as stream:
            deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
            self.assertEqual(stream.get_final_response().output_text, "Because.")
        self.assertEqual(deltas, ["Be", "cause."])

    def test_the_list_of_models(self):
        self.assertEqual([model.id for model in self.client().models.list()], ["scripted"])
        self.assertEqual(self.client().models.retrieve("scripted").id, "scripted")


if __name__ == "__main__":
    unittest.main()
