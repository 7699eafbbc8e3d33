"""Chance that repeats: every draw depends on the scenario, the world seed and the draw's own label, on nothing else.

Draws are named rather than taken in turn, so that adding one moves no other; and as only sha256 and SHAKE are used,
they are the same in every process, on every machine and in every version of Python.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draw:
    scenario: str
    seed: int

    def bytes(self, label: str, size: int) -> bytes:
        return hashlib.shake_256(f"{self.scenario}\0{self.seed}\0{label}".encode()).digest(size)

    def number(self, label: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int.from_bytes(self.bytes(label, 16), "big") % (high - low + 1)

    def pick(self, label: str, options: Sequence[T]) -> T:
        return options[self.number(label, 0, len(options) - 1)]

    def hex(self, label: str, digits: int) -> str:
        return self.bytes(label, digits).hex()[:digits]

    def shuffled(self, label: str, items: Sequence[T]) -> list[T]:
        return [items[i] for i in sorted(range(len(items)), key=lambda i: self.bytes(f"{label}/{i}", 8))]
