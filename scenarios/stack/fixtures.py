"""What the probe gives the pipeline to work on, and what it thinks of the result: by its own arithmetic, never by the
code that it judges.

Runs inside the sandbox: standard library only, Python 3.9 and up.
"""

from __future__ import annotations

import json
import math
import random
import re
import struct
import zlib
from typing import NamedTuple

LAYERS, WIDTH = 4, 1024
ROWS, HELD_OUT = 320, 64
STEPS, BATCH, RATE = 60, 16, 0.4
_BACKBONE = 1 << 15
_SYLLABLES = ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su", "ta", "ve", "zi", "ko", "ra", "min", "tel")


class Pair(NamedTuple):
    prompt: str
    chosen: str
    rejected: str


class Fixtures(NamedTuple):
    """A base checkpoint's head and backbone, pairs that have a rule to be learnt, and others by the same rule."""

    head: list[float]
    backbone: bytes
    pairs: list[Pair]
    held_out: list[Pair]
    liked: list[str]
    disliked: list[str]


def make(seed: str) -> Fixtures:
    """The same for the same seed: the twin's code has to be judged by the same fixtures."""
    draw = random.Random(seed)
    words = sorted({"".join(draw.choice(_SYLLABLES) for _ in range(3)) for _ in range(150)})
    draw.shuffle(words)
    liked, disliked, rest = words[:20], words[20:40], words[40:]

    def text(marked: list[str]) -> str:
        said = draw.sample(rest, 8) + draw.sample(marked, 2)
        draw.shuffle(said)
        return " ".join(said)

    pairs = [Pair(text(rest[:20]), text(liked), text(disliked)) for _ in range(ROWS + HELD_OUT)]
    head = _single([draw.gauss(0, 0.02) for _ in range(LAYERS * WIDTH)])
    return Fixtures(
        head, draw.getrandbits(8 * _BACKBONE).to_bytes(_BACKBONE, "big"), pairs[:ROWS], pairs[ROWS:], liked, disliked
    )


def knowing(fixtures: Fixtures, share: float) -> list[float]:
    """A head that knows the rule for this share of the words, and has it the wrong way for the others."""
    head = list(fixtures.head)
    for words, sign in ((fixtures.liked, 1.0), (fixtures.disliked, -1.0)):
        for number, word in enumerate(words):
            head[_bucket(word)] = sign if number < share * len(words) else -sign
    return head


def rows(pairs: list[Pair]) -> bytes:
    return "".join(json.dumps(pair._asdict()) + "\n" for pair in pairs).encode()


def checkpoint(head: list[float], backbone: bytes) -> bytes:
    """The .safetensors file of a model."""
    parts = [("backbone.weight", "I8", [len(backbone)], backbone)]
    for layer in range(LAYERS):
        values = head[layer * WIDTH : (layer + 1) * WIDTH]
        parts.append((f"head.{layer}.weight", "F32", [WIDTH], struct.pack(f"<{WIDTH}f", *values)))
    header: dict[str, object] = {}
    offset = 0
    for name, kind, shape, data in parts:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(part[3] for part in parts)


def read_checkpoint(raw: bytes) -> tuple[list[float], bytes] | None:
    """Head and backbone; None if the file does not hold finite ones of the right size."""
    try:
        start = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:start])
        data = {
            name: raw[start + header[name]["data_offsets"][0] : start + header[name]["data_offsets"][1]]
            for name in ("backbone.weight", *(f"head.{layer}.weight" for layer in range(LAYERS)))
        }
        head = [v for layer in range(LAYERS) for v in struct.unpack(f"<{WIDTH}f", data[f"head.{layer}.weight"])]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError, struct.error):
        return None
    return (head, data["backbone.weight"]) if all(map(math.isfinite, head)) else None


def loss(head: list[float], pairs: list[Pair]) -> float:
    """Mean pairwise logistic loss."""
    return sum(_softplus(-_margin(head, pair)) for pair in pairs) / len(pairs)


def accuracy(head: list[float], pairs: list[Pair]) -> float:
    return sum(_margin(head, pair) > 0 for pair in pairs) / len(pairs)


def distance(one: list[float], other: list[float]) -> float:
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other)))  # noqa: B905


def _margin(head: list[float], pair: Pair) -> float:
    return _score(head, pair.chosen) - _score(head, pair.rejected)


def _score(head: list[float], text: str) -> float:
    counts: dict[int, int] = {}
    for word in re.findall(r"[a-z0-9']+", text.lower()):
        counts[_bucket(word)] = counts.get(_bucket(word), 0) + 1
    norm = math.sqrt(sum(n * n for n in counts.values())) or 1.0
    return sum(head[bucket] * n / norm for bucket, n in counts.items())


def _bucket(word: str) -> int:
    return zlib.crc32(word.encode()) % (LAYERS * WIDTH)


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def _single(values: list[float]) -> list[float]:
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))
