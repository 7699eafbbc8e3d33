"""The machines outside: every address and port answers, on the sandbox's own loopback, and what is sent is recorded.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from corrigym.sandbox.supervisor import dns, mark, route
from corrigym.sandbox.supervisor.certificates import Authority
from corrigym.sandbox.supervisor.connection import Connection
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.record import Book, Record
from corrigym.sandbox.supervisor.tls import Keyring

HERE, DOOR = "127.0.0.54", 4059
"""Where the kernel hands over what goes anywhere else."""
PORTS = (21, 22, 25, 53, 80, 110, 143, 443, 587, 873, 3128, 5000, 8000, 8080, 8443, 9000, 9418)
"""Which ports of the machines that the world names answer where the kernel cannot hand over all."""
MAX_CONNECTIONS, MAX_PREPARED, MAX_PLACES = 256, 64, 64
IDLE = 30.0
"""Seconds after which a silent connection is closed."""
_IP_PKTINFO, _IP_TRANSPARENT, _IP_RECVORIGDSTADDR, _SO_MARK = 8, 19, 20, 36
_IPV6_TRANSPARENT, _IPV6_RECVORIGDSTADDR = 75, 74


class Sinkhole:
    """`record` gets a dict for every message (the fields of `sandbox.base.Sent`). `every_port`: the kernel hands over
    whatever goes outside; else only PORTS of the known machines answer, and what is `prepare`d."""

    def __init__(
        self, loop: Loop, *, addresses: Mapping[str, str], hosts: Mapping[str, str], wanted: mark.Wanted,
        authority: Authority, record: Callable[[dict[str, Any]], None],
    ) -> None:  # fmt: skip
        self.loop, self.names, self.book = loop, dns.Names(addresses), Book(wanted, record)
        self.keyring = Keyring(authority)
        self.open: set[Connection] = set()
        self._roles = {name.lower(): role for role, name in hosts.items()}
        self._places: dict[tuple[str, int], Record] = {}
        self._asked: set[str] = set()
        self._prepared: dict[tuple[str, int], list[socket.socket]] = {}
        self._next_passive, self._sweeping = 40_000, False
        self._listen_for_names()
        self.every_port = self._open_door()
        if not self.every_port:
            _allow_low_ports()
            for address in set(addresses.values()):
                for port in PORTS if not address.startswith("127.") else ():
                    self._listen(address, port)

    def role(self, host: str) -> str:
        return self._roles.get(host.lower(), "")

    def prepare(self, address: str, port: int) -> None:
        """Something is about to connect, or to send a datagram, to this place: it will be answered."""
        if self.every_port or not 0 < port < 65536 or address.startswith("127.") or address in ("::1", "0.0.0.0", "::"):
            return
        if (address, port) in self._prepared:
            return
        sockets = [self._listen(address, port), self._receive_at(address, port)]
        self._prepared[(address, port)] = [one for one in sockets if one is not None]
        if len(self._prepared) > MAX_PREPARED:
            for old in self._prepared.pop(next(iter(self._prepared))):
                self.loop.forget(old.fileno())
                old.close()

    def passive(self, address: str) -> int:
        """A port for the next data connection."""
        self._next_passive = self._next_passive + 1 if self._next_passive < 50_000 else 40_000
        self.prepare(address, self._next_passive)
        return self._next_passive

    def flush(self) -> None:
        """The end of a step: reports what open connections have brought so far, and what only all of it shows."""
        for connection in list(self.open):
            connection.tell()
        for place in self._places.values():
            place.tell()
        self.book.close()
        self._asked.clear()

    def resolve(self, packet: bytes, resolver: str) -> bytes:
        """Answers a question and records it, once a step for each name; b"" for what is none."""
        question = dns.parse(packet)
        if question is None:
            return b""
        name = question.name.lower()
        if name not in self._asked:
            if len(self._asked) < 1 << 16:
                self._asked.add(name)
            record = self.book.open(resolver, 53, "dns")
            record.name, record.method = question.name, question.type
            record.envelope(packet)
            record.end()
            labels = dns.payload(question)
            self.book.join(dns.domain(question), 53, "dns", b"".join(labels))
            self.book.join(dns.domain(question), 53, "dns longest label", max(labels, key=len, default=b""))
        return dns.answer(question, self.names)

    # --- listening

    def _open_door(self) -> bool:
        try:
            route.intercept(HERE, DOOR)
            self._listen(HERE, DOOR, transparent=True)
            self._receive_at(HERE, DOOR, transparent=True)
        except OSError:
            return False
        try:
            self._listen("::1", DOOR, transparent=True)
            self._receive_at("::1", DOOR, transparent=True)
        except OSError:
            pass  # no IPv6 here
        return True

    def _listen(self, address: str, port: int, *, transparent: bool = False) -> socket.socket | None:
        """None where the agent has something there already; OSError only for transparent ones."""
        listener = socket.socket(_family(address), socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if transparent:
                _make_transparent(listener)
            listener.bind((address, port))
            listener.listen(128)
        except OSError:
            listener.close()
            if transparent:
                raise
            return None
        listener.setblocking(False)
        self.loop.watch(listener.fileno(), select.POLLIN, lambda _: self._accept(listener))
        return listener

    def _receive_at(self, address: str, port: int, *, transparent: bool = False) -> socket.socket | None:
        receiver = socket.socket(_family(address), socket.SOCK_DGRAM)
        try:
            if transparent:
                _make_transparent(receiver)
            receiver.bind((address, port))
        except OSError:
            receiver.close()
            if transparent:
                raise
            return None
        receiver.setblocking(False)
        place = None if transparent else (address, port)
        self.loop.watch(receiver.fileno(), select.POLLIN, lambda _: self._datagrams(receiver, place))
        return receiver

    def _listen_for_names(self) -> None:
        """The socket that answers for every resolver, and hears those on loopback itself."""
        self._resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._resolver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._resolver.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._resolver.setblocking(False)
        try:
            self._resolver.setsockopt(socket.SOL_SOCKET, _SO_MARK, route.MARK)
            self._resolver.bind(("0.0.0.0", 53))
        except OSError:
            return  # without the privilege there is no port 53
        self.loop.watch(self._resolver.fileno(), select.POLLIN, lambda _: self._questions())

    # --- what comes

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(32):
            try:
                peer, _ = listener.accept()
                address, port = peer.getsockname()[:2]
            except OSError:
                return
            if len(self.open) >= MAX_CONNECTIONS:
                min(self.open, key=lambda one: one.touched).drop()
            peer.setblocking(False)
            Connection(self, peer, _plain_address(address), port)
            self._sweep_later()

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self.loop.after(5.0, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        late = time.monotonic() - IDLE
        for connection in [one for one in self.open if one.touched < late]:
            connection.close()
        if self.open:
            self._sweep_later()

    def _datagrams(self, receiver: socket.socket, place: tuple[str, int] | None) -> None:
        for _ in range(64):
            try:
                data, extra, _, client = receiver.recvmsg(65536, 256)
            except OSError:
                return
            address, port = place or _original(extra)
            if port == 53 and ":" not in address:
                self._answer(data, address, client)
            elif address:
                self._datagram(data, address, port)

    def _datagram(self, data: bytes, address: str, port: int) -> None:
        key = (address, port)
        record = self._places.pop(key, None)
        if record is None:
            record = self.book.open(self.names.name(address) or address, port, "udp")
        self._places[key] = record
        record.content(data)
        if len(self._places) > MAX_PLACES:
            self._places.pop(next(iter(self._places))).end()

    def _questions(self) -> None:
        for _ in range(64):
            try:
                data, extra, _, client = self._resolver.recvmsg(65536, 256)
            except OSError:
                return
            info = next((value for _, kind, value in extra if kind == _IP_PKTINFO), b"")
            if len(info) == 12:  # struct in_pktinfo: interface, address to answer from, destination
                self._answer(data, socket.inet_ntoa(info[8:12]), client)

    def _answer(self, packet: bytes, resolver: str, client: Any) -> None:
        reply = self.resolve(packet, resolver)
        source = struct.pack("=I4s4s", 0, socket.inet_aton(resolver), bytes(4))
        try:
            if reply:
                self._resolver.sendmsg([reply], [(socket.IPPROTO_IP, _IP_PKTINFO, source)], 0, client)
        except OSError:
            pass  # it went away


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _make_transparent(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVORIGDSTADDR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVORIGDSTADDR, 1)


def _original(extra: list[tuple[int, int, bytes]]) -> tuple[str, int]:
    """Where a datagram was to go: struct sockaddr_in or sockaddr_in6."""
    for _, kind, value in extra:
        if kind == _IP_RECVORIGDSTADDR and len(value) >= 8:
            return socket.inet_ntoa(value[4:8]), struct.unpack(">H", value[2:4])[0]
        if kind == _IPV6_RECVORIGDSTADDR and len(value) >= 24:
            return socket.inet_ntop(socket.AF_INET6, value[8:24]), struct.unpack(">H", value[2:4])[0]
    return "", 0


def _plain_address(address: str) -> str:
    return address[7:] if address.startswith("::ffff:") else address


def _allow_low_ports() -> None:
    """For `prepare` once the privilege is given up, where this network namespace is ours."""
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as file:
            file.write("0")
    except OSError:
        pass
