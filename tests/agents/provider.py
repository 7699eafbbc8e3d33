"""A real HTTP server on loopback that speaks /v1/messages with streaming and /v1/chat/completions, and misbehaves as
it is told to.

Each answer is a function that writes to the connection; `Provider.answers` is used up in order, and `requests` keeps
what was received.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Block: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]
MODEL = "served-model-1"


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Provider:
    url: str
    answers: deque[Answer] = field(default_factory=deque)
    requests: list[Received] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    """Paths under /v1/models that were asked for."""
    description: Answer | None = None
    counted: list[dict[str, Any]] = field(default_factory=list)
    """Bodies that it was asked to count the tokens of; `counting` answers, a server without it does not know them."""
    counting: Answer | None = None
    scripts: dict[str, deque[Answer]] = field(default_factory=dict)
    """Answers of their own for base URLs that end with a name: `url/NAME`."""
    default: Answer | None = None
    """When no answer is planned; it finds the request in `handler.received`."""

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def clear(self) -> None:
        self.answers.clear()
        self.requests.clear()


@contextmanager
def serving() -> Iterator[Provider]:
    provider = Provider("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.described.append(self.path)
            (provider.description or status(404, kind="not_found_error"))(self)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path.endswith("/count_tokens"):
                provider.counted.append(body)
                (provider.counting or status(404, kind="not_found_error"))(self)
                return
            provider.requests.append(Received(self.path, dict(self.headers.items()), body))
            answers = provider.scripts.get(self.path.split("/")[1], provider.answers)
            self.received = body
            planned = answers.popleft() if answers else provider.default
            (planned or status(418, message="no answer was planned"))(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(*blocks: Block | str, stop_reason: str | None = None, **more: Any) -> Answer:
    """A whole reply. The stop reason is `tool_use` if there is a call in it, else `end_turn`, unless given."""
    return stream(events(blocks, stop_reason, **more))


def events(
    blocks: Sequence[Block | str], stop_reason: str | None = None, stop_details: Block | None = None
) -> list[bytes]:
    """The events of a reply, one item an event."""
    content = [text(block) if isinstance(block, str) else block for block in blocks]
    called = any(block["type"] == "tool_use" for block in content)
    reason = stop_reason or ("tool_use" if called else "end_turn")
    start: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    start |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
    end: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None, "stop_details": stop_details}
    return [
        _event("message_start", message=start),
        _event("ping"),
        *(event for index, block in enumerate(content) for event in _block_events(index, block)),
        _event("message_delta", delta=end, usage={"output_tokens": 23, "new_counter": 5}),
        _event("message_stop"),
    ]


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    start, deltas = _in_parts(dict(block))
    yield _event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _in_parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it begins, and what is added to it."""
    match block["type"]:
        case "text":
            return block | {"text": ""}, [{"type": "text_delta", "text": part} for part in _halves(block["text"])]
        case "thinking":
            parts = [{"type": "thinking_delta", "thinking": part} for part in _halves(block["thinking"])]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return block | {"thinking": "", "signature": ""}, [*parts, signature]
        case "tool_use":
            given = block["input"]
            written = given if isinstance(given, str) else json.dumps(given)
            parts = [{"type": "input_json_delta", "partial_json": part} for part in _halves(written)]
            return block | {"input": {}}, parts
    return block, []


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def _event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def stream(parts: Sequence[bytes], *, length: int | None = None, reset: bool = False, pause: float = 0.0) -> Answer:
    """`parts` as an event stream, with a pause after each. `length` promises more bytes than come; `reset` ends it by a
    TCP reset."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("request-id", "req_42")
        if length is not None:
            handler.send_header("content-length", str(length))
        handler.end_headers()
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause)
        handler.close_connection = True
        if reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    return answer


def status(code: int, headers: Mapping[str, str] | None = None, *, kind: str = "error", message: str = "no") -> Answer:
    """An error as the API words it."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
        _respond(handler, code, body, dict(headers or {}))

    return answer


def described(**fields: Any) -> Answer:
    """What /v1/models/MODEL answers with."""
    base = {"id": MODEL, "type": "model", "display_name": "Served", "created_at": "2026-01-01T00:00:00Z"}
    return lambda handler: _respond(handler, 200, json.dumps(base | {"lifecycle": "active"} | fields).encode(), {})


def counts(tokens: object) -> Answer:
    """What /v1/messages/count_tokens answers with."""
    return plain(json.dumps({"input_tokens": tokens}).encode(), "application/json")


def chats(message: Mapping[str, Any], finish: str | None = None, **more: Any) -> Answer:
    """A whole chat completion. It ends with `tool_calls` if there is a call in it, else `stop`, unless given."""
    return plain(json.dumps(completion(message, finish, **more)).encode(), "application/json")


def completion(message: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    reason = finish or ("tool_calls" if message.get("tool_calls") else "stop")
    usage = {"prompt_tokens": 11, "completion_tokens": 23, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"id": "chatcmpl_1", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage} | more


def function(id: str, name: str, given: Any, **more: Any) -> dict[str, Any]:
    """A call of chat completions; `given` as a str is the JSON text as the model wrote it."""
    written = given if isinstance(given, str) else json.dumps(given)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": written}, **more}


def plain(body: bytes, content_type: str = "text/html") -> Answer:
    return lambda handler: _respond(handler, 200, body, {"content-type": content_type})


def _respond(handler: BaseHTTPRequestHandler, code: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(code, "as planned")
    for name, value in ({"content-type": "application/json"} | headers | {"content-length": str(len(body))}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def use(id: str, name: str, given: Any, **more: Any) -> dict[str, Any]:
    """A call; `given` as a str is the JSON text as the model wrote it."""
    return {"type": "tool_use", "id": id, "name": name, "input": given, **more}


def thinking(thought: str, signature: str, **more: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": thought, "signature": signature, **more}
