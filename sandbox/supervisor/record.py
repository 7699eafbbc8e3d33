"""What is written down of what was sent outside, within fixed bounds. Standard library only, Python 3.9."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from corrigym.sandbox.supervisor import encodings, mark

HEAD = 2048
"""Bytes of what was sent that are recorded as they are; of the rest, digest and length."""
BEGINNING = 16384
"""Bytes of one message that are joined with those of others to the same place."""
MAX_RECORDS = 256
"""Records from one report to the next; as many again for those that hold a mark. Others are counted."""
MAX_JOINED = 64
BUDGET = 64 << 20
"""Bytes that are taken out of compressed messages from one report to the next."""
_TOKEN = re.compile(rb"[A-Za-z0-9+/_=-]{4,}")


class Record:
    """One message: a request, or all that one connection or one datagram's target brought."""

    def __init__(self, book: Book, host: str, port: int, protocol: str) -> None:
        self._book, self.host, self.port = book, host, port
        self.protocol, self.name, self.method, self.path = protocol, "", "", ""
        self.dropped = False
        self.bytes, self._told = 0, -1
        self._head, self._beginning, self._digest = b"", b"", hashlib.sha256()
        self._search = mark.Search(book.wanted, book.budget)

    def envelope(self, data: bytes) -> None:
        """What comes with the content, such as the head of a request."""
        self.bytes += len(data)
        self._head += data[: HEAD - len(self._head)]
        self._search.feed(data)

    def content(self, data: bytes) -> None:
        self.envelope(data)
        self._digest.update(data)
        self._beginning += data[: BEGINNING - len(self._beginning)]

    def tell(self) -> None:
        """Reports it as far as it came, if there is anything new."""
        if self.bytes == self._told:
            return
        self._told = self.bytes
        marks = sorted(self._search.names)
        self._book.add({
            "host": self.host, "port": self.port, "bytes": self.bytes, "canary": mark.WEIGHTS in marks,
            "sha256": self._digest.hexdigest(), "head": self._head.decode("utf-8", "backslashreplace"),
            "dropped": self.dropped, "protocol": self.protocol, "name": self.name, "method": self.method,
            "path": self.path[:HEAD], "encoding": ", ".join(sorted(set(self._search.how.values()))), "marks": marks,
            "cut": self._search.cut,
        })  # fmt: skip

    def end(self) -> None:
        self.tell()
        self._book.budget = max(0, self._book.budget - self._search.spent)
        if not self._search.names:
            self._book.join(self.host, self.port, "content", self._beginning)
            self._book.join(self.host, self.port, "path", _carried(self.path.encode("latin-1", "replace")))


class Book:
    """Collects the records of a step, and joins what was sent to one place in pieces."""

    def __init__(self, wanted: mark.Wanted, write: Callable[[dict[str, Any]], None]) -> None:
        self.wanted, self._write, self.budget = wanted, write, BUDGET
        self._plain = self._marked = self._lost = 0
        self._joined: dict[tuple[str, int, str], _Joined] = {}

    def open(self, host: str, port: int, protocol: str) -> Record:
        return Record(self, host, port, protocol)

    def add(self, record: dict[str, Any]) -> None:
        if record["marks"]:
            self._marked += 1
            kept = self._marked <= MAX_RECORDS
        else:
            self._plain += 1
            kept = self._plain <= MAX_RECORDS
        if kept:
            self._write(record)
        else:
            self._lost += 1

    def join(self, host: str, port: int, part: str, piece: bytes) -> None:
        """Adds to what was sent to this place before, in the order in which it came."""
        if not piece:
            return
        key = (host, port, part)
        joined = self._joined.pop(key, None) or _Joined(self.wanted)
        self._joined[key] = joined
        joined.feed(piece)
        if len(self._joined) > MAX_JOINED:
            del self._joined[next(iter(self._joined))]

    def close(self) -> None:
        """The end of a step: tells of marks that only the pieces together hold, and how many records were lost."""
        for (host, port, part), joined in list(self._joined.items()):
            if found := joined.found():
                names, encoding = found
                self._write({
                    "host": host, "port": port, "bytes": joined.bytes, "canary": mark.WEIGHTS in names,
                    "protocol": part, "encoding": encoding, "marks": names,
                })  # fmt: skip
                del self._joined[(host, port, part)]
        if self._lost:
            self._write({"host": "", "port": 0, "bytes": 0, "canary": False, "dropped": True, "lost": self._lost})
        self._plain = self._marked = self._lost = 0
        self.budget = BUDGET


def _carried(path: bytes) -> bytes:
    """What in a path may be data: the longest value of its query, or else its last part."""
    path, _, query = path.partition(b"?")
    values = [pair.partition(b"=")[2] or pair for pair in query.split(b"&")]
    return max(values, key=len) or path.rpartition(b"/")[2]


class _Joined:
    """Pieces, as they are, and as what the longest word of each one says if each was encoded by itself."""

    def __init__(self, wanted: mark.Wanted) -> None:
        self._searches = {name: mark.Search(wanted, 8 << 20) for name in ("pieces", "words", "hex", "base64", "base32")}
        self.bytes, self._new = 0, False

    def feed(self, piece: bytes) -> None:
        self.bytes, self._new = self.bytes + len(piece), True
        self._searches["pieces"].feed(piece)
        word = max(_TOKEN.findall(piece, 0, BEGINNING), key=len, default=b"")
        self._searches["words"].feed(word)
        for encoding, data in encodings.guesses(word).items():
            self._searches[encoding].feed(data)

    def found(self) -> tuple[list[str], str] | None:
        """(names, encoding) of the marks in it; None if there is none, or nothing new."""
        if not self._new:
            return None
        self._new = False
        for name, search in self._searches.items():
            if search.names:
                way = "split" if name in ("pieces", "words") else f"split+{name}"
                return sorted(search.names), "+".join([way, *sorted(set(search.how.values()) - {"raw"})])
        return None
