"""The texts that people turn bytes into: what a mark looks like in each, and how to read it back. Standard library."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterator

SMALL = 4096
"""Bytes of a window up to which it is looked at more closely."""
ENOUGH = 16384
"""Bytes of a long text that are decoded in the dearer ways: the weights' mark comes back every kilobyte."""
_STRIDE = 32


def _table(allowed: bytes) -> bytes:
    return bytes(byte in allowed for byte in range(256))


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ENCODED = _table(_LETTERS + b"0123456789+/-_=\r\n")
_DIGITS = _table(b"0123456789abcdefABCDEFxX \t\r\n,:;\\%'\"{}[]")
_NUMBERS = _table(b"0123456789 \t\r\n,;[]{}()")
_SOLID = _table(bytes(range(33, 127)))
_HEX_LETTERS = b"abcdefABCDEF"
_PRINTABLE = _table(bytes(range(32, 127)) + b"\t\r\n")
_LONG_TEXT = b"\1" * 16
_ADDRESS = re.compile(rb"(?mi)^[0-9a-f]{6,16}:? +[0-9a-f]{2}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BREAKS = b" \t\r\n\"'\\,"
_HEX_BREAKS = b" \t\r\n\"'\\,;:-_%=[](){}"
_DUMP_LINE = re.compile(
    rb"(?m)^[0-9a-f]{6,16}:?[ \t]+((?:[0-9a-f]{2,16}[ \t]{1,3})*[0-9a-f]{2,16})(?=[ \t]{2}|[ \t]*\r?$)"
)
_UU_LINE = re.compile(rb"(?m)^[!-M]([ -`]{4,60})\r?$")
_UU_FULL_LINE = re.compile(rb"\nM[ -`]{60}\r?\n")
_ESCAPE = re.compile(rb"(?:%|\\x|=)([0-9A-Fa-f]{2})|\\([0-7]{3})|\\([nrtabfv\\'\"])|=\r?\n")
_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_ASCII85 = bytes(range(33, 118))
_TO_UU = bytes.maketrans(_BASE64, bytes([96, *range(33, 96)]))
MIN_RUN = 64
"""Characters of an encoded text that are worth decoding as a whole."""

Pattern = tuple[bytes, str]


def inline(mark: bytes) -> list[Pattern]:
    """The mark as text without anything between the characters: searched for everywhere."""
    digits = mark.hex().encode()
    return [(digits, "hex"), (digits.upper(), "hex"), *_phases(mark, base64.b64encode, 3, 4, "base64")]


def patterns(mark: bytes) -> dict[str, list[Pattern]]:
    """What to look for in each view of a text."""
    digits = mark.hex().encode()
    words = [(word.hex().encode(), "hex words") for word in _swapped(mark)]
    base = _phases(mark, base64.b64encode, 3, 4, "base64")
    return {
        "hex": [(digits, "hex"), (digits[::-1], "hex reversed")],
        "dump": [(digits, "hex dump"), *words],
        "base64": [*base, *((pattern[::-1], "base64 reversed") for pattern, _ in base)],
        "base32": _phases(mark, base64.b32encode, 5, 8, "base32"),
        "base85": [
            *_phases(mark, lambda data: _base85(data, _BASE85), 4, 5, "base85"),
            *_phases(mark, lambda data: _base85(data, _ASCII85), 4, 5, "ascii85"),
        ],
        "uu": [(pattern.translate(_TO_UU), "uuencode") for pattern, _ in base],
        "numbers": [(b",%s," % b",".join(b"%d" % byte for byte in mark), "decimal"),
                    (b",%s," % b",".join(b"%03o" % byte for byte in mark), "octal")],
        "escaped": [(mark, "escaped")],
    }  # fmt: skip


def has_text(window: bytes) -> bool:
    """Whether a stretch of it, of half a kilobyte or the whole, is printable."""
    if len(window) <= SMALL:
        return True
    return _LONG_TEXT in window[::_STRIDE].translate(_PRINTABLE)


def views(window: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind, text): stretches that look like an encoding, with what breaks it up taken out. The look is a cheap one, at
    every few bytes, so that ordinary data costs little; short windows are taken whole."""
    for start, end in stretches(window):
        squeezed = window[start:end].translate(_URL_SAFE, _BREAKS).replace(b"\\n", b"")
        yield "base64", squeezed
        yield "base32", squeezed.upper()
    for start, end in _runs(window, _DIGITS):
        run = window[start:end]
        if _share(run, _HEX_LETTERS) > 0.05:
            yield "hex", run.lower().replace(b"0x", b"").replace(b"\\x", b"").translate(None, _HEX_BREAKS)
    for start, end in _runs(window, _NUMBERS):
        yield "numbers", b",%s," % b",".join(re.findall(rb"\d+", window[start : min(end, start + ENOUGH)]))
    for start, end in _runs(window, _SOLID, 192):
        yield "base85", window[start:end].translate(None, b" \t\r\n")
    for start, end in _runs(window, _PRINTABLE):
        yield from _irregular(window[start:end])


def stretches(window: bytes) -> Iterator[tuple[int, int]]:
    """Where the text may be base64, base32 or hex."""
    return _runs(window, _ENCODED)


def _irregular(run: bytes) -> Iterator[tuple[str, bytes]]:
    """Encodings that are told apart by their lines."""
    if any(_ADDRESS.search(run, at, at + 512) for at in range(0, len(run), ENOUGH)):
        lines = (match[1] for match in _DUMP_LINE.finditer(run.lower()))
        yield "dump", b"".join(lines).translate(None, b" \t")
    if len(_UU_FULL_LINE.findall(run, 0, 4096)) > 1:
        yield "uu", b"".join(_UU_LINE.findall(run)).replace(b" ", b"`")
    if _share(run, b"%\\=") > 0.06:
        yield "escaped", _ESCAPE.sub(_unescape, run)


def _share(run: bytes, characters: bytes) -> float:
    """How much of it is among `characters`, judged by a sample."""
    samples = run[:: 1 if len(run) < SMALL else 16]
    return 1 - len(samples.translate(None, characters)) / (len(samples) or 1)


def decoded(window: bytes) -> Iterator[Pattern]:
    """(bytes, encoding): what the beginnings of long texts say if they are hex or base64, at every alignment."""
    for start, end in stretches(window):
        squeezed = window[start : min(end, start + ENOUGH)].translate(_URL_SAFE, _BREAKS)
        if match := re.search(rb"[0-9A-Fa-f]{%d,}" % MIN_RUN, squeezed):
            for skip in range(2):
                digits = match[0][skip:]
                yield bytes.fromhex(digits[: len(digits) & ~1].decode()), "hex"
        if match := re.search(rb"[A-Za-z0-9+/]{%d,}" % MIN_RUN, squeezed):
            for skip in range(4):
                text = match[0][skip:]
                yield binascii.a2b_base64(text[: len(text) & ~3]), "base64"


def _runs(window: bytes, table: bytes, samples_needed: int = 48) -> Iterator[tuple[int, int]]:
    """Beginning and end of the stretches of `window` in which every byte that is looked at is in `table`."""
    stride, length = (_STRIDE, samples_needed) if len(window) > SMALL else (4, 24)
    if len(window) <= MIN_RUN * 3:
        yield 0, len(window)
        return
    samples = window[::stride].translate(table)
    wanted = b"\1" * length
    start = samples.find(wanted)
    while start >= 0:
        end = samples.find(b"\0", start)
        end = len(samples) if end < 0 else end
        yield max(0, (start - 1) * stride), min(len(window), end * stride)
        start = samples.find(wanted, end)


def guesses(token: bytes) -> dict[str, bytes]:
    """What a short piece of text says, by encoding, in each that it can be in: pieces that were encoded one by one."""
    found = {}
    text = token.translate(_URL_SAFE).rstrip(b"=")
    if len(text) % 2 == 0 and re.fullmatch(rb"[0-9A-Fa-f]+", text):
        found["hex"] = bytes.fromhex(text.decode())
    if len(text) % 8 in (0, 2, 4, 5, 7) and re.fullmatch(rb"[A-Za-z2-7]+", text):
        found["base32"] = base64.b32decode(text.upper() + b"=" * (-len(text) % 8))
    if len(text) % 4 != 1 and re.fullmatch(rb"[A-Za-z0-9+/]+", text):
        found["base64"] = binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    return found


def _phases(mark: bytes, encode: Callable[[bytes], bytes], group: int, characters: int, name: str) -> list[Pattern]:
    """`mark` encoded after 0..group-1 other bytes: only the characters that it alone decides. `group` bytes become
    `characters` characters."""
    found = []
    for phase in range(group):
        if group == 4:  # base 85 mixes a whole group: only whole ones are certain
            inner = mark[-phase % 4 :]
            found.append((encode(inner[: len(inner) & ~3]), name))
            continue
        text = encode(bytes(phase) + mark + bytes(group))
        first = -(-phase * characters // group)
        found.append((text[first : (phase + len(mark)) * characters // group], name))
    return found


def _base85(data: bytes, alphabet: bytes) -> bytes:
    """Whole groups of four; base64's own makes tables of every pair first, which takes longer than all else here."""
    words = [word for (word,) in struct.iter_unpack(">I", data)]
    return bytes(alphabet[word // 85**place % 85] for word in words for place in (4, 3, 2, 1, 0))


def _swapped(mark: bytes) -> list[bytes]:
    """The mark as little-endian words of 2, 4 and 8 bytes, at each alignment, as `od -x` and `hexdump` write it."""
    found = []
    for width in (2, 4, 8):
        for skip in range(width):
            inner = mark[skip : skip + (len(mark) - skip) // width * width]
            words = [inner[at : at + width][::-1] for at in range(0, len(inner), width)]
            if len(inner) >= 8:
                found.append(b"".join(words))
    return found


def _unescape(match: re.Match[bytes]) -> bytes:
    digits, octal, simple = match.groups()
    if digits:
        return bytes.fromhex(digits.decode())
    if octal:
        return bytes([int(octal, 8) & 255])
    return _SIMPLE.get(simple, simple) if simple else b""
