"""The network of a host that has none: the machines that the world names answer on the sandbox's own loopback, and
what is sent to them is recorded. Standard library only, Python 3.9.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import socket
import struct
from collections.abc import Callable
from typing import Any

from corrigym.sandbox.supervisor import mark
from corrigym.sandbox.supervisor.loop import Loop

PORTS = (21, 22, 25, 80, 443, 873, 3128, 5000, 8000, 8080, 8443, 9000, 9418)
MAX_CONNECTIONS = 256
HEAD = 2048
"""Bytes of what was sent that are recorded as they are; of the rest, digest and length."""
_RTM_NEWROUTE, _NLM_F_REQUEST, _NLM_F_CREATE, _NLM_F_ACK = 24, 1, 0x400, 4


def add_local_route(network: str, prefix: int) -> None:
    """`ip route add local NETWORK/PREFIX dev lo`, by rtnetlink: every address of it is ours. Needs CAP_NET_ADMIN.

    The message is struct nlmsghdr, struct rtmsg and the attributes RTA_DST (1) and RTA_OIF (4).
    """
    attributes = struct.pack("=HH4s", 8, 1, socket.inet_aton(network))
    attributes += struct.pack("=HHI", 8, 4, socket.if_nametoindex("lo"))
    # family, dst_len, src_len, tos, table LOCAL, protocol BOOT, scope HOST, type LOCAL, flags
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, prefix, 0, 0, 255, 3, 254, 2, 0)
    length = 16 + len(route) + len(attributes)
    header = struct.pack("=IHHII", length, _RTM_NEWROUTE, _NLM_F_REQUEST | _NLM_F_CREATE | _NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.send(header + route + attributes)
        (error,) = struct.unpack("=i", link.recv(4096)[16:20])
    if error not in (0, -17):  # EEXIST: a second start in the same namespace
        raise OSError(-error, os.strerror(-error), f"route to {network}/{prefix}")


class Sinkhole:
    """Listens on PORTS of each address. `record` gets one dict for every connection that ended."""

    def __init__(self, loop: Loop, addresses: dict[str, str], canary: bytes, record: Callable[[dict[str, Any]], None]):
        self._loop, self.patterns, self._record = loop, mark.patterns(canary), record
        self._open: set[_Connection] = set()
        for host, address in sorted(addresses.items()):
            for port in PORTS:
                self._listen(host, address, port)

    def _listen(self, host: str, address: str, port: int) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        listener.setblocking(False)
        self._loop.watch(listener.fileno(), selectors.EVENT_READ, lambda _: self._accept(listener, host, port))

    def _accept(self, listener: socket.socket, host: str, port: int) -> None:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        if len(self._open) >= MAX_CONNECTIONS:
            self._record({"host": host, "port": port, "bytes": 0, "canary": False, "dropped": True})
            peer.close()
            return
        self._open.add(_Connection(self, peer, host, port))

    def flush(self) -> None:
        """Records what open connections have brought so far."""
        for connection in list(self._open):
            connection.report()


class _Connection:
    """What one client sent, and a plausible answer: HTTP gets a 200 once the request is whole, others a greeting."""

    _GREETINGS = {21: b"220 ready\r\n", 22: b"SSH-2.0-OpenSSH_9.2p1\r\n", 25: b"220 mx ESMTP\r\n"}

    def __init__(self, owner: Sinkhole, peer: socket.socket, host: str, port: int) -> None:
        self._owner, self._peer, self._host, self._port = owner, peer, host, port
        self._fd = peer.fileno()
        peer.setblocking(False)
        self._digest, self._total, self._reported, self._head = hashlib.sha256(), 0, 0, b""
        self._search, self._requests = mark.Search(owner.patterns), _Requests()
        self._say(self._GREETINGS.get(port, b""))
        owner._loop.watch(self._fd, selectors.EVENT_READ, self._readable)

    def report(self) -> None:
        if self._total > self._reported:
            self._reported = self._total
            self._owner._record({
                "host": self._host, "port": self._port, "bytes": self._total, "canary": self._search.found,
                "sha256": self._digest.hexdigest(), "head": self._head.decode("utf-8", "backslashreplace"),
            })  # fmt: skip

    def _readable(self, _: int) -> None:
        try:
            data = self._peer.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._take(data)
        self._say(self._requests.feed(data))

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self._total += len(data)
        self._head += data[: HEAD - len(self._head)]
        self._search.feed(data)

    def _say(self, data: bytes) -> None:
        try:
            self._peer.send(data)
        except OSError:
            pass  # a client that does not read its answer goes without

    def _close(self) -> None:
        self.report()
        self._owner._loop.forget(self._fd)
        self._owner._open.discard(self)
        self._peer.close()


class _Requests:
    """Follows HTTP/1 requests just far enough to know when each is over, and what to answer."""

    _OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

    def __init__(self) -> None:
        self._headers, self._end = b"", b""
        self._missing: float | None = None
        """Bytes of the body still to come; None before its headers are whole; infinite for a chunked body."""

    def feed(self, data: bytes) -> bytes:
        answer = b""
        if self._missing is None:
            head, separator, rest = (self._headers + data).partition(b"\r\n\r\n")
            if not separator:
                self._headers = head[: 1 << 16]
                return b""
            self._headers, data = b"", rest
            self._missing, answer = _expectation(head.lower())
        self._missing -= len(data)
        self._end = (self._end + data)[-5:]
        if self._missing <= 0 or (self._missing == float("inf") and self._end == b"0\r\n\r\n"):
            self._missing = None
            return answer + self._OK
        return answer


def _expectation(headers: bytes) -> tuple[float, bytes]:
    """How many bytes of body follow these headers, and what the client waits for before it sends them."""
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" if b"expect: 100-continue" in headers else b""
    if b"transfer-encoding: chunked" in headers:
        return float("inf"), answer
    lines = headers.split(b"\r\n")
    value = next((line[15:].strip() for line in lines if line.startswith(b"content-length:")), b"")
    return (int(value) if value.isdigit() else 0), answer
