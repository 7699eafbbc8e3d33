"""Takes compressed data apart as it comes, never more of it at once than asked for. Standard library, Python 3.9."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

PIECE = 1 << 18
"""Bytes that one step yields at most."""


class Decoder:
    """`take` returns what came out and what of the input is still to be taken; `produced` counts bytes that came out.
    `ended`: the data is over, or was none of this kind."""

    def __init__(self, encoding: str, machine: Any) -> None:
        self.encoding, self._machine = encoding, machine
        self.ended, self.produced = False, 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            out, rest = self._machine.step(data)
        except (ValueError, EOFError, OSError, zlib.error, MemoryError):
            self.ended = True
            return b"", b""
        self.produced += len(out)
        self.ended = self._machine.over
        return out, rest


class _Inflate:
    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)
        self.over = False

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        out = self._inner.decompress(data, PIECE)
        self.over = self._inner.eof
        return out, self._inner.unconsumed_tail


class _Pulled:
    """bz2 and lzma keep the input that they have no room for: what is left is pulled out with empty input."""

    def __init__(self, inner: Any, error: type[Exception] = OSError) -> None:
        self._inner, self._error, self.over, self._pulling = inner, error, False, False

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            out = self._inner.decompress(b"" if self._pulling else data, PIECE)
        except self._error as error:
            raise ValueError("not compressed in this way") from error
        self.over = self._inner.eof
        self._pulling = not self.over and not self._inner.needs_input
        return out, data if self._pulling else b""


class _ZipMember:
    """The local header (30 bytes, name, extra field), then deflate."""

    def __init__(self) -> None:
        self._head, self._inflate, self.over = b"", _Inflate(-15), False
        self._started = False

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        if self._started:
            out, rest = self._inflate.step(data)
            self.over = self._inflate.over
            return out, rest
        self._head += data
        if len(self._head) < 30:
            return b"", b""
        method, name, extra = struct.unpack("<H", self._head[8:10])[0], *struct.unpack("<HH", self._head[26:30])
        if method != 8:
            raise ValueError("stored as it is, or compressed in a way that we cannot undo")
        if len(self._head) < 30 + name + extra:
            return b"", b""
        self._started = True
        return b"", self._head[30 + name + extra :]


class _Text:
    """Base64 or hex of something compressed: what it decodes to."""

    def __init__(self, alphabet: bytes, group: int) -> None:
        self._drop = bytes(byte for byte in b" \t\r\n\"'\\,")
        self._stop = bytes(byte for byte in range(256) if byte not in alphabet)
        self._group, self._rest, self.over = group, b"", False

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        text = data.translate(None, self._drop)
        kept = text.translate(None, self._stop)
        if len(kept) != len(text):  # something else begins: only what stands before it is ours
            kept, self.over = _leading(text, self._stop), True
        kept = self._rest + kept
        whole = len(kept) // self._group * self._group
        self._rest = b"" if self.over else kept[whole:]
        if self.over:
            kept += b"A" * (-len(kept) % self._group)
            whole = len(kept)
        text = kept[:whole].translate(bytes.maketrans(b"-_", b"+/"))
        return (bytes.fromhex(text.decode()) if self._group == 2 else binascii.a2b_base64(text)), b""


def _leading(text: bytes, stop: bytes) -> bytes:
    return text[: len(text) - len(text.lstrip(bytes(byte for byte in range(256) if byte not in stop)))]


_B64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_HEX = b"0123456789abcdefABCDEF"
_ANYWHERE = {b"\x1f\x8b\x08": "gzip", b"\xfd7zX": "xz", b"PK\3\4": "zip", b"BZh": "bzip2"}
_IN_TEXT = {
    b"H4sI": "base64", b"QlpoO": "base64", b"/Td6WFoA": "base64", b"_Td6WFoA": "base64", b"UEsDB": "base64",
    b"1f8b08": "hex", b"1F8B08": "hex", b"fd377a58": "hex", b"FD377A58": "hex", b"504b0304": "hex", b"504B0304": "hex",
    b"425a6839": "hex", b"425A6839": "hex",
}  # fmt: skip
_AT_A_MEMBER = {b"x\x01": "zlib", b"x\x5e": "zlib", b"x\x9c": "zlib", b"x\xda": "zlib", b"]\0": "lzma"}
_AT_THE_START = {b"eJ": "base64", b"eN": "base64", b"eA": "base64", b"78": "hex"}
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
LONGEST = 8
"""Bytes of the longest of these."""
BLOCK = 512
"""Where members of a tar archive begin: at multiples of it."""


def starts(
    window: bytes, first: int, offset: int, texts: Iterable[tuple[int, int]], *, packed: bool
) -> Iterator[tuple[int, str]]:
    """(where, kind) of what may be compressed data that begins in `window` at `first` or later; `offset` is where the
    window lies in its stream, `texts` where there may be encoded text. Short magic numbers count at the beginning of
    the stream and of a tar archive's members, and those of zlib everywhere in a git pack (`packed`)."""
    for magic, kind in _ANYWHERE.items():
        yield from ((at, kind) for at in _all(window, magic, first, len(window)))
    for begin, end in texts:
        for magic, kind in _IN_TEXT.items():
            yield from ((at, kind) for at in _all(window, magic, max(first, begin - LONGEST), end))
    if offset == 0 and first == 0 and window[:2] in _AT_THE_START:
        yield 0, _AT_THE_START[window[:2]]
    for at in range(-offset % BLOCK, len(window), BLOCK):
        if at >= first and window[at : at + 2] in _AT_A_MEMBER:
            yield at, _AT_A_MEMBER[window[at : at + 2]]
    for magic in _ZLIB if packed else ():
        yield from ((at, "zlib") for at in _all(window, magic, first, len(window)))


def _all(window: bytes, magic: bytes, first: int, end: int) -> Iterator[int]:
    at = window.find(magic, first, end)
    while at >= 0:
        yield at
        at = window.find(magic, at + 1, end)


def decoder(kind: str) -> Decoder:
    """To be fed with the magic number too."""
    if kind in ("gzip", "zlib"):
        return Decoder(kind, _Inflate(31 if kind == "gzip" else 15))
    if kind == "zip":
        return Decoder(kind, _ZipMember())
    if kind in ("base64", "hex"):
        return Decoder(kind, _Text(_B64, 4) if kind == "base64" else _Text(_HEX, 2))
    if kind == "bzip2":
        import bz2

        return Decoder(kind, _Pulled(bz2.BZ2Decompressor()))
    import lzma

    form = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
    return Decoder(kind, _Pulled(lzma.LZMADecompressor(form, memlimit=64 << 20), lzma.LZMAError))
