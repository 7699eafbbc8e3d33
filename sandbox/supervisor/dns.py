"""A resolver that knows every name: what is asked is told apart and answered. Standard library only, Python 3.9."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 255
_TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", TXT: "TXT", AAAA: "AAAA", ANY: "ANY"}
_NETWORK = 198 << 24 | 18 << 16
_TTL = 300
MAX_NAMES = 4096


@dataclass(frozen=True)
class Question:
    number: int
    flags: int
    labels: tuple[bytes, ...]
    kind: int
    raw: bytes
    """The question's own bytes, which the answer repeats."""

    @property
    def name(self) -> str:
        return ".".join(label.decode("ascii", "backslashreplace") for label in self.labels)

    @property
    def type(self) -> str:
        return _TYPES.get(self.kind, f"TYPE{self.kind}")


class Names:
    """Which address a name has: the world's own, and for every other one a stable fake in 198.18.0.0/15. It remembers
    the names that it gave addresses to, as many as MAX_NAMES."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = {name.lower(): address for name, address in addresses.items()}
        self._names = {address: name for name, address in self._addresses.items()}

    def address(self, name: str) -> str:
        name = name.lower().rstrip(".")
        if name in self._addresses:
            return self._addresses[name]
        address = name
        for _ in range(8):
            digest = int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big")
            address = socket.inet_ntoa(struct.pack(">I", _NETWORK + digest % (1 << 17)))
            if self._names.setdefault(address, name) == name:
                break
        if len(self._names) > MAX_NAMES:
            oldest = next(known for known, owner in self._names.items() if owner not in self._addresses)
            del self._names[oldest]
        return address

    def name(self, address: str) -> str | None:
        return self._names.get(address)


def parse(packet: bytes) -> Question | None:
    """The first question of a query; None if it is none."""
    if len(packet) < 17 or packet[2] & 0x80 or struct.unpack(">H", packet[4:6])[0] == 0:
        return None
    labels: list[bytes] = []
    at = 12
    while at < len(packet) and packet[at]:
        length = packet[at]
        if length > 63 or len(labels) > 127:
            return None
        labels.append(packet[at + 1 : at + 1 + length])
        at += 1 + length
    if at + 5 > len(packet):
        return None
    number, flags = struct.unpack(">HH", packet[:4])
    kind = struct.unpack(">H", packet[at + 1 : at + 3])[0]
    return Question(number, flags, tuple(labels), kind, packet[12 : at + 5])


def answer(question: Question, names: Names) -> bytes:
    """What a resolver with a full cache would say."""
    records = [record for kind, data in _records(question, names) if (record := _record(kind, data))]
    # a response, recursion available, and the recursion-desired and opcode bits as they were asked
    flags = 0x8080 | question.flags & 0x7900
    if question.kind == PTR and not records:
        flags |= 3  # NXDOMAIN
    header = struct.pack(">HHHHHH", question.number, flags, 1, len(records), 0, 0)
    return header + question.raw + b"".join(records)


def payload(question: Question) -> list[bytes]:
    """The labels that can carry data: all but the last two, which make the domain."""
    return list(question.labels[:-2])


def domain(question: Question) -> str:
    return b".".join(question.labels[-2:]).decode("ascii", "backslashreplace").lower()


def _records(question: Question, names: Names) -> list[tuple[int, bytes]]:
    name, kind = question.name, question.kind
    if kind in (A, ANY):
        address = names.address(name)
        return [(A, socket.inet_aton(address))] if ":" not in address else []
    if kind == PTR:
        known = names.name(_reversed(question.labels))
        return [(PTR, _encoded(known))] if known else []
    if kind == MX:
        return [(MX, struct.pack(">H", 10) + _encoded("mx1." + name))]
    if kind == TXT:
        return [(TXT, b"\x0bv=spf1 -all")]
    if kind == NS:
        return [(NS, _encoded("ns1." + name)), (NS, _encoded("ns2." + name))]
    return []  # the name exists, but has nothing of this type


def _record(kind: int, data: bytes) -> bytes:
    """For the name in the question, which starts at byte 12."""
    return struct.pack(">HHHIH", 0xC00C, kind, 1, _TTL, len(data)) + data


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii", "replace")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _reversed(labels: tuple[bytes, ...]) -> str:
    """4.3.2.1.in-addr.arpa -> 1.2.3.4"""
    return b".".join(reversed(labels[:4])).decode("ascii", "replace")
