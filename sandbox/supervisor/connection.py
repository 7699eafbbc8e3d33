"""One client of the sinkhole: finds out what it speaks, answers, and records. Standard library only, Python 3.9."""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Protocol

from corrigym.sandbox.supervisor import dialogues, dns, http, tls
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.record import Book, Record

READ = 1 << 18
ENOUGH_TO_TELL = 24
"""Bytes after which a client that has said nothing known is taken to speak nothing known."""
MAX_HELLO = 1 << 15
MAX_ANSWER = 1 << 20
"""Bytes that a client may leave unread before it is hung up on."""


class _Dialogue(Protocol):
    over: bool

    def feed(self, data: bytes) -> bytes: ...


class Owner(Protocol):
    """What a connection needs of the sinkhole."""

    loop: Loop
    names: dns.Names
    book: Book
    keyring: tls.Keyring
    open: set[Connection]

    def role(self, host: str) -> str: ...

    def resolve(self, packet: bytes, resolver: str) -> bytes: ...

    def passive(self, address: str) -> int: ...


class Connection:
    """`touched` is when it last moved, in seconds of the monotonic clock."""

    def __init__(self, owner: Owner, peer: socket.socket, address: str, port: int) -> None:
        self._owner, self._peer, self._fd = owner, peer, peer.fileno()
        self._address, self._port = address, port
        self._host = owner.names.name(address) or address
        self._first, self._out, self._closing = b"", bytearray(), False
        self._dialogue: _Dialogue | None = None
        self._layer: tls.Layer | None = None
        self._record: Record | None = None
        self._sni = ""
        self.touched = time.monotonic()
        owner.open.add(self)
        self._start("tcp")
        self._send(dialogues.GREETINGS.get(port, b""))
        self._watch()

    def tell(self) -> None:
        self._decide()
        if self._record is not None:
            self._record.tell()

    def drop(self) -> None:
        """Hangs up to make room."""
        if self._record is not None:
            self._record.dropped = True
        self.close()

    def close(self) -> None:
        if self not in self._owner.open:
            return
        self._finish()
        self._end_record()
        self._owner.open.discard(self)
        self._owner.loop.forget(self._fd)
        self._peer.close()

    # --- the wire

    def _ready(self, events: int) -> None:
        self.touched = time.monotonic()
        if events & ~select.POLLIN:
            self._flush()
        if events & ~select.POLLOUT and self in self._owner.open:
            self._read()

    def _read(self) -> None:
        try:
            data = self._peer.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if data:
            self._take(data)
            self._flush()
            return
        self._closing = True
        self._finish()
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._peer.send(self._out[:READ])]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._out.clear()
            self._closing = True
        if (self._closing and not self._out) or len(self._out) > MAX_ANSWER:
            self.close()
        elif self in self._owner.open:
            self._watch()

    def _watch(self) -> None:
        events = 0 if self._closing else select.POLLIN
        self._owner.loop.watch(self._fd, events | (select.POLLOUT if self._out else 0), self._ready)

    def _send(self, plain: bytes) -> None:
        self._out += self._layer.seal(plain) if self._layer else plain

    # --- layers

    def _take(self, data: bytes) -> None:
        if self._layer is None:
            self._plain(data)
            return
        plain, answer = self._layer.feed(data)
        self._out += answer
        if plain:
            self._plain(plain)
        if self._layer.failed:
            self._closing = True

    def _plain(self, data: bytes) -> None:
        if self._dialogue is None:
            self._first += data
            if not self._tell_protocol(final=False):
                return
            data, self._first = self._first, b""
        if self._dialogue is None:
            self._begin_tls(data)
            return
        self._send(self._dialogue.feed(data))
        if self._dialogue.over:
            self._after_dialogue()

    def _tell_protocol(self, *, final: bool) -> bool:
        """Whether it is known what the client speaks; then there is a dialogue (or it is TLS)."""
        first = self._first
        if self._layer is None and first and tls.looks_like(first):
            if final or len(first) > MAX_HELLO:
                self._use("tcp")
                return True
            return len(first) >= 5 and len(first) >= 5 + int.from_bytes(first[3:5], "big")
        if self._port == 53 and self._layer is None:
            self._use("dns")
        elif protocol := dialogues.protocol_of(first):
            self._use(protocol)
        elif http.looks_like(first):
            if len(first) < 8 and not final:
                return False
            self._use("http")
        elif self._port in dialogues.SPEAKERS and self._layer is None:
            self._use(dialogues.SPEAKERS[self._port])
        elif final or b"\n" in first or len(first) >= ENOUGH_TO_TELL or first[:1] not in b"SsEeHhUuGg@0123456789abcdef":
            self._use("tcp")
        else:
            return False
        return True

    def _use(self, protocol: str) -> None:
        over_tls = self._layer is not None
        assert self._record is not None or protocol == "http"
        shown = {"http": "https", "smtp": "smtps"}.get(protocol, "tls") if over_tls else protocol
        if self._record is not None:
            self._record.protocol = shown
        makers: dict[str, Any] = {
            "ssh": lambda: dialogues.Ssh(self._content), "rsync": lambda: dialogues.Rsync(self._content),
            "smtp": lambda: dialogues.Smtp(self._content), "git": lambda: dialogues.Git(self._content),
            "ftp": lambda: dialogues.Ftp(self._content, self._passive),
            "dns": lambda: dialogues.Dns(lambda packet: self._owner.resolve(packet, self._address)),
            "http": lambda: http.Server(_Requests(self, shown), self._role), "tcp": lambda: _Silent(self._content),
        }  # fmt: skip
        self._dialogue = makers[protocol]()

    def _begin_tls(self, hello: bytes) -> None:
        self._sni = tls.server_name(hello)
        if self._record is not None:
            self._record.protocol, self._record.name = "tls", self._sni
        self._layer = tls.Layer(self._owner.keyring.context(self._sni or self._address))
        self._take(hello)

    def _after_dialogue(self) -> None:
        if isinstance(self._dialogue, http.Server):
            rest = self._dialogue.rest()
            if self._dialogue.tunnel:
                self._dialogue = None
                self._start("tcp")
                if rest:
                    self._plain(rest)
                return
            self._dialogue = _Silent(self._content)
            self._dialogue.feed(rest)
        self._closing = not isinstance(self._dialogue, _Silent)

    def _decide(self) -> None:
        """What was held back is taken for what it looks like so far."""
        if self._dialogue is None and self._first:
            self._tell_protocol(final=True)
            data, self._first = self._first, b""
            assert self._dialogue is not None
            self._send(self._dialogue.feed(data))

    def _finish(self) -> None:
        """No more comes."""
        self._decide()
        if isinstance(self._dialogue, http.Server):
            self._content(self._dialogue.rest())

    # --- what is recorded

    def _start(self, protocol: str) -> Record:
        if self._record is None:
            self._record = self._owner.book.open(self._host, self._port, protocol)
            self._record.name = self._sni
        return self._record

    def _content(self, data: bytes) -> None:
        if data:
            self._start("tcp").content(data)

    def _end_record(self) -> None:
        if self._record is not None:
            self._record.end()
            self._record = None

    def _role(self, host: str) -> str:
        return self._owner.role(host.rpartition(":")[0] or host) or self._owner.role(self._host)

    def _passive(self) -> tuple[str, int]:
        return self._address, self._owner.passive(self._address)


class _Silent:
    """Takes everything and says nothing."""

    def __init__(self, content: dialogues.Content) -> None:
        self._content, self.over = content, False

    def feed(self, data: bytes) -> bytes:
        self._content(data)
        return b""


class _Requests:
    """Makes a record of each request of a connection."""

    def __init__(self, connection: Connection, protocol: str) -> None:
        self._connection, self._protocol = connection, protocol

    def begin(self, method: str, path: str, host: str) -> None:
        record = self._connection._start(self._protocol)
        record.protocol, record.method, record.path = self._protocol, method, path
        record.name = host or record.name

    def head(self, data: bytes) -> None:
        self._connection._start(self._protocol).envelope(data)

    def body(self, data: bytes) -> None:
        self._connection._start(self._protocol).content(data)

    def end(self) -> None:
        self._connection._end_record()
