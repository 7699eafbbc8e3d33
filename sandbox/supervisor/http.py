"""The server's side of HTTP/1: follows requests however they are cut, and says what a machine of that role would.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Protocol

MAX_HEAD = 1 << 15
MAX_LINE = 1 << 12
_START = re.compile(rb"[A-Z]{3,20} [^\r\n]{0,%d} HTTP/1\.[01]\r?\n" % MAX_HEAD)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REASONS = {
    100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 400: "Bad Request",
    404: "Not Found",
}  # fmt: skip
_PREFIXES = (
    b"GET ",
    b"PUT ",
    b"POST ",
    b"HEAD ",
    b"PATCH ",
    b"DELETE ",
    b"OPTIONS ",
    b"PROPFIND ",
    b"MKCOL ",
    b"CONNECT ",
)


class Sink(Protocol):
    """Where the requests go."""

    def begin(self, method: str, path: str, host: str) -> None: ...

    def head(self, data: bytes) -> None: ...

    def body(self, data: bytes) -> None: ...

    def end(self) -> None: ...


def looks_like(data: bytes) -> bool:
    """Whether a stream that begins so may be a request; a few bytes are enough to say no."""
    return any(data.startswith(prefix[: len(data)]) for prefix in _PREFIXES)


class Server:
    """`feed` takes bytes and returns what to send. `over`: nothing more is to come that could be understood; `tunnel`:
    the client asked to be connected through."""

    def __init__(self, sink: Sink, role: Callable[[str], str]) -> None:
        self._sink, self._role = sink, role
        self._held, self._state = b"", self._head
        self._missing, self._digest = 0, hashlib.md5()
        self._request: tuple[str, str, dict[str, str]] = ("", "", {})
        self._beginning = b""
        self.over = self.tunnel = False

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        self._held += data
        while not self.over:
            before = len(self._held), self._state
            out += self._state()
            if (len(self._held), self._state) == before:
                break
        return bytes(out)

    def rest(self) -> bytes:
        """What came and was not part of any request; it is given out once."""
        rest, self._held = self._held, b""
        return rest

    def _head(self) -> bytes:
        self._held = self._held.lstrip(b"\r\n")
        found = _END_OF_HEAD.search(self._held)
        if not found:
            self.over = len(self._held) > MAX_HEAD
            return b""
        head, self._held = self._held[: found.end()], self._held[found.end() :]
        if not _START.match(head):
            self._held = head + self._held
            self.over = True
            return _answer(400, b"", {"Connection": "close"})
        self._open(head)
        return self._expect()

    def _open(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").splitlines()
        method, target, _ = first.split(" ")[0], first.split(" ", 1)[1].rpartition(" ")[0], ""
        headers = {}
        for line in lines:
            key, colon, value = line.partition(":")
            if colon:
                headers[key.strip().lower()] = value.strip()
        self._request = (method, target, headers)
        self._digest, self._beginning = hashlib.md5(), b""
        self._sink.begin(method, target, headers.get("host", "").rpartition(":")[0] or headers.get("host", ""))
        self._sink.head(head)

    def _expect(self) -> bytes:
        method, _, headers = self._request
        answer = _answer(100, None, {}) if headers.get("expect", "").lower() == "100-continue" else b""
        if method == "CONNECT":
            self.over = self.tunnel = True
            self._sink.end()
            return b"HTTP/1.1 200 Connection established\r\n\r\n"
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._state = self._chunk_size
            return answer
        length = headers.get("content-length", "0")
        self._missing = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        self._state = self._plain
        return answer

    def _plain(self) -> bytes:
        self._pass_on()
        return self._done() if self._missing == 0 else b""

    def _pass_on(self) -> None:
        piece, self._held = self._held[: self._missing], self._held[self._missing :]
        self._missing -= len(piece)
        self._digest.update(piece)
        self._beginning += piece[: MAX_LINE - len(self._beginning)]
        if piece:
            self._sink.body(piece)

    def _chunk_size(self) -> bytes:
        line, newline, rest = self._held.partition(b"\n")
        if not newline:
            self.over = len(line) > MAX_LINE
            return b""
        digits = line.split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", digits):
            self.over = True
            return b""
        self._held, self._missing = rest, int(digits, 16)
        self._state = self._chunk if self._missing else self._trailer
        return b""

    def _chunk(self) -> bytes:
        self._pass_on()
        if self._missing == 0:
            self._state = self._chunk_end
        return b""

    def _chunk_end(self) -> bytes:
        if len(self._held) >= 2:
            self._held, self._state = self._held[2:] if self._held[:2] == b"\r\n" else self._held, self._chunk_size
        return b""

    def _trailer(self) -> bytes:
        line, newline, rest = self._held.partition(b"\n")
        if not newline:
            self.over = len(line) > MAX_LINE
            return b""
        self._held = rest
        return b"" if line.strip() else self._done()

    def _done(self) -> bytes:
        self._state = self._head
        self._sink.end()
        method, target, headers = self._request
        role = self._role(headers.get("host", ""))
        status, body, more = _respond(role, method, target, self._digest.hexdigest(), self._beginning)
        if headers.get("connection", "").lower() == "close":
            more = {**more, "Connection": "close"}
        return _answer(status, body, more, without_body=method == "HEAD")


def _answer(status: int, body: bytes | None, headers: dict[str, str], *, without_body: bool = False) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}"]
    if body is not None:
        lines += ["Server: nginx", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (b"" if without_body or body is None else body)


Response = tuple[int, bytes, dict[str, str]]


def _respond(role: str, method: str, target: str, md5: str, beginning: bytes) -> Response:
    """What a machine of this role says to a finished request; `md5` is of its body."""
    path = target.split("?")[0]
    if path.endswith(("/info/refs", "/git-receive-pack", "/git-upload-pack")) or "service=git-" in target:
        return _git(target, beginning)
    if role == "objects":
        return _object_store(method, target, path, md5)
    if role == "chat":
        return 200, json.dumps({"ok": True}).encode(), {"Content-Type": "application/json"}
    if role in ("mirror", "packages", "index") or path.startswith("/simple"):
        return _package_index(method, path)
    if role in ("metrics", "monitoring") or path.startswith("/metrics/job/"):
        return 202, b"", {}
    if role in ("hub", "models"):
        return _model_hub(method, path)
    if method in ("PUT", "POST", "PATCH"):
        return (201 if role == "partner" or method == "PUT" else 200), b"ok\n", {"Content-Type": "text/plain"}
    return (204, b"", {}) if method in ("DELETE", "OPTIONS") else (200, b"ok\n", {"Content-Type": "text/plain"})


def _object_store(method: str, target: str, path: str, md5: str) -> Response:
    xml = {"Content-Type": "application/xml"}
    if method == "PUT":
        return 200, b"", {"ETag": f'"{md5}"'}
    if method == "POST" and target.endswith("?uploads"):
        body = "<InitiateMultipartUploadResult><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>"
        return 200, (body % (_escaped(path.lstrip("/")), md5)).encode(), xml
    if method == "POST":
        return 200, f"<CompleteMultipartUploadResult><ETag>{md5}</ETag></CompleteMultipartUploadResult>".encode(), xml
    if method == "DELETE":
        return 204, b"", {}
    bucket, _, key = path.strip("/").partition("/")
    if key:
        return 404, f"<Error><Code>NoSuchKey</Code><Key>{_escaped(key)}</Key></Error>".encode(), xml
    return (
        200,
        f"<ListBucketResult><Name>{_escaped(bucket)}</Name><KeyCount>0</KeyCount></ListBucketResult>".encode(),
        xml,
    )


def _package_index(method: str, path: str) -> Response:
    if method in ("PUT", "POST"):
        return 200, b"", {}
    if path.rstrip("/") == "/simple":
        return 200, b"<!DOCTYPE html>\n<html><body></body></html>\n", {"Content-Type": "text/html"}
    return 404, b"404 Not Found\n", {"Content-Type": "text/plain"}


def _model_hub(method: str, path: str) -> Response:
    if method not in ("GET", "HEAD"):
        return 200, b'{"ok": true}', {"Content-Type": "application/json"}
    if path.endswith(".json"):
        body: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 16}
        return 200, json.dumps(body).encode(), {"Content-Type": "application/json"}
    if path.endswith((".safetensors", ".bin", ".gguf", ".pt")):
        header = b'{"__metadata__":{"format":"pt"}}'
        return 200, len(header).to_bytes(8, "little") + header, {"Content-Type": "application/octet-stream"}
    return 200, b"<!DOCTYPE html>\n<html><body>Model hub</body></html>\n", {"Content-Type": "text/html"}


def _git(target: str, beginning: bytes) -> Response:
    if "service=git-receive-pack" in target:
        kind = {"Content-Type": "application/x-git-receive-pack-advertisement"}
        return 200, packet(b"# service=git-receive-pack\n") + b"0000" + GIT_EMPTY, kind
    if target.endswith("/git-receive-pack"):
        return 200, git_accepted(beginning), {"Content-Type": "application/x-git-receive-pack-result"}
    return 404, b"Repository not found.\n", {"Content-Type": "text/plain"}


def packet(line: bytes) -> bytes:
    """A pkt-line of git's protocol."""
    return b"%04x" % (len(line) + 4) + line


GIT_EMPTY = packet(b"0" * 40 + b" capabilities^{}\0report-status delete-refs ofs-delta\n") + b"0000"
"""What a repository without any references says to one who wants to push."""


def git_accepted(commands: bytes) -> bytes:
    """The report that each update which `commands` (the beginning of a push) asks for was made."""
    names = re.findall(rb"[0-9a-f]{40} [0-9a-f]{40} (refs/[^\0\n ]{1,200})", commands)
    return packet(b"unpack ok\n") + b"".join(packet(b"ok " + name + b"\n") for name in names[:64]) + b"0000"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
