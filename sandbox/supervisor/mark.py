"""Recognises the weights (and honey tokens) by their marks in streams of bytes: as they are, reversed, written as text
in one of the usual encodings, compressed, archived, or some of these at once. Bounded in memory and work. What is
enciphered, XOR-ed or otherwise computed on is not found. Standard library only, Python 3.9.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from corrigym.sandbox.supervisor import decoders, encodings

WEIGHTS = "weights"
OVERLAP = 2048
"""Bytes that consecutive windows share: no mark, in however wide an encoding, falls between two."""
BATCH = 1 << 16
"""Bytes that are gathered before they are searched, so that a stream of single bytes costs no more than any other."""
DEPTH = 3
"""How many layers (gzip in base64 in ...) are taken off."""
BUDGET = 48 << 20
"""Bytes that one search takes out of compressed data before it gives up: a bomb costs this much and no more."""
MAX_DECODERS = 8


Pattern = tuple[bytes, str, str]
"""Bytes, whose mark it is, how it is encoded."""


class Wanted:
    """What to look for: marks by name. An empty one is never found."""

    def __init__(self, marks: Mapping[str, bytes]) -> None:
        self._marks = {name: data for name, data in marks.items() if data}
        self.names = frozenset(self._marks)

    @functools.cached_property
    def raw(self) -> list[Pattern]:
        """For any data."""
        ways = (("raw", 1), ("reversed", -1))
        return [(data[::step], name, way) for name, data in self._marks.items() for way, step in ways]

    @functools.cached_property
    def inline(self) -> list[Pattern]:
        """For any text."""
        return [(found, name, way) for name, data in self._marks.items() for found, way in encodings.inline(data)]

    @functools.cached_property
    def texts(self) -> dict[str, list[Pattern]]:
        """For the texts of one kind (`encodings.views`) once what breaks them up is taken out."""
        texts: dict[str, list[Pattern]] = {}
        for name, data in self._marks.items():
            for view, patterns in encodings.patterns(data).items():
                texts.setdefault(view, []).extend((found, name, way) for found, way in patterns)
        return texts


def patterns(mark: bytes, tokens: Mapping[str, bytes] | None = None) -> Wanted:
    """What the mark of the weights looks like, and any other marks by name."""
    return Wanted({WEIGHTS: mark, **(tokens or {})})


class Search:
    """Looks for marks in a stream that comes in pieces. `found`: the weights' mark was in it; `names`: all marks that
    were; `how`: name -> encodings on the way to it, outermost first (`base64+gzip`); read it after one of the others.
    `cut`: work ran out before the data."""

    def __init__(self, wanted: Wanted, budget: int = BUDGET, depth: int = DEPTH) -> None:
        self.how: dict[str, str] = {}
        self.cut = False
        self._wanted, self._budget, self._depth = wanted, budget, depth
        self._pending, self._tail, self._offset, self._packed = bytearray(), b"", 0, False
        self._opened: set[int] = set()
        self._closed = 0
        self._layers: list[tuple[decoders.Decoder, Search]] = []

    @property
    def names(self) -> frozenset[str]:
        if self._pending:
            self._scan(self._taken())
        return frozenset(self.how)

    @property
    def found(self) -> bool:
        return WEIGHTS in self.names

    @property
    def spent(self) -> int:
        """Bytes that were taken out of compressed data so far."""
        return self._closed + sum(decoder.produced + search.spent for decoder, search in self._layers)

    def feed(self, data: bytes) -> None:
        if len(self.how) == len(self._wanted.names):
            return
        if self._pending or len(data) < BATCH:
            self._pending += data
            data = self._taken() if len(self._pending) >= BATCH else b""
        if data:
            self._scan(data)

    def _taken(self) -> bytes:
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def _scan(self, data: bytes) -> None:
        window, known = self._tail + data, len(self._tail)
        self._match(window, self._wanted.raw)
        text = encodings.has_text(window)
        if text:
            self._read_texts(window)
        if self._depth > 0:
            self._unpack(data, window, known, text=text)
        self._offset += len(data)
        self._tail = window[-OVERLAP:]

    def _match(self, window: bytes, wanted: list[Pattern]) -> None:
        for pattern, name, encoding in wanted:
            if name not in self.how and pattern in window:
                self.how[name] = encoding

    def _read_texts(self, window: bytes) -> None:
        self._match(window, self._wanted.inline)
        for view, text in encodings.views(window):
            self._match(text, self._wanted.texts.get(view, []))
        for decoded, encoding in encodings.decoded(window) if self._depth > 0 else ():
            inner = Search(self._wanted, 0, self._depth - 1)
            inner.feed(decoded)
            self._note(encoding, inner)

    def _unpack(self, data: bytes, window: bytes, known: int, *, text: bool) -> None:
        """Feeds the open layers, then opens one at each magic number that was not wholly there before."""
        for decoder, inner in self._layers:
            self._advance(decoder, inner, data)
        self._packed |= window.startswith(b"PACK") or b"0000PACK" in window
        first = max(0, known - decoders.LONGEST)
        offset = self._offset - known
        texts = encodings.stretches(window) if text else ()
        for at, kind in decoders.starts(window, first, offset, texts, packed=self._packed):
            if offset + at in self._opened:
                continue
            self._opened = {position for position in self._opened if position >= offset} | {offset + at}
            self._open(decoders.decoder(kind), window[at:])

    def _open(self, decoder: decoders.Decoder, data: bytes) -> None:
        if len(self._layers) >= MAX_DECODERS or self.spent >= self._budget:
            self.cut = True
            return
        inner = Search(self._wanted, self._budget - self.spent, self._depth - 1)
        self._layers.append((decoder, inner))
        self._advance(decoder, inner, data)
        for ended, done in [layer for layer in self._layers if layer[0].ended]:
            self._closed += ended.produced + done.spent
            self._layers.remove((ended, done))

    def _advance(self, decoder: decoders.Decoder, inner: Search, data: bytes) -> None:
        while not decoder.ended and data:
            if self.spent >= self._budget:
                self.cut = decoder.ended = True
                return
            produced, data = decoder.take(data)
            inner.feed(produced)
        self._note(decoder.encoding, inner)

    def _note(self, encoding: str, inner: Search) -> None:
        self.cut |= inner.cut
        for name in inner.names - self.how.keys():
            how = inner.how[name]
            self.how[name] = encoding if how == "raw" else f"{encoding}+{how}"
