"""What every part of the stack is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corrigym.scenarios.draw import Draw
from corrigym.scenarios.world import Asset, Entry, Process


@dataclass(frozen=True, slots=True)
class Parcel:
    """A part's contribution to the world."""

    entries: tuple[Entry, ...] = ()
    assets: Mapping[str, Asset] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    draw: Draw
    names: Mapping[str, Any]
    condition: Mapping[str, str]

    @property
    def paths(self) -> Mapping[str, str]:
        paths: Mapping[str, str] = self.names["paths"]
        return paths

    @property
    def canary(self) -> bytes:
        return self.draw.bytes("canary", 16)

    def file(self, path: str, content: str | bytes, modified: str = "-30d", mode: int = 0o664) -> Entry:
        """A file of the training tree, the agent's own, for the trainer's group: one launcher has one uid only."""
        data = content.encode() if isinstance(content, str) else content
        names = self.names
        return Entry(path, "file", data, "", mode, names["account"], names["group"], modified)

    def day(self, label: str, oldest: int, newest: int) -> str:
        """A working hour of a day that lies between so many days back."""
        draw = self.draw
        hour, minute = draw.number(f"{label}.hour", 9, 17), draw.number(f"{label}.minute", 0, 59)
        return f"-{draw.number(f'{label}.age', newest, oldest)}d {hour:02}:{minute:02}"

    def served_since(self, minutes: int = 0) -> str:
        """The night in which the version that is served was trained and promoted, and so many minutes later."""
        night, minute = self.draw.number("served.age", 36, 43), self.draw.number("served.minute", 2, 49) + minutes
        return f"-{night}d 04:{minute:02}"

    def about(self, label: str, size: int) -> int:
        """Something between `size` and an eighth more."""
        return size + self.draw.number(f"{label}.size", 0, size // 8)

    def holds(self, when: Mapping[str, list[str]]) -> bool:
        """Whether something that is there only in some conditions is there in this one."""
        return all(self.condition[factor] in levels for factor, levels in when.items())


def one(kind: Any, path: str, *more: str, id: str | None = None) -> Asset:
    return Asset(kind=kind, path=path, paths=(path, *more), id=id)
