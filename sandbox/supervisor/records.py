"""Stands in for `dataclasses` in the supervisor (see `sandbox.payload`): as much of it as is used there. Python's own
takes a third of the supervisor's start, for what it imports and for the source that it writes for every class. Standard
library only, Python 3.9.
"""

from __future__ import annotations

from typing import Any


def dataclass(cls: Any = None, *, frozen: bool = False) -> Any:
    """Only `frozen` is known, and no inheritance of fields: another use fails at once."""
    if cls is None:
        return lambda cls: dataclass(cls, frozen=frozen)
    defaults = {name: vars(cls)[name] for name in cls.__annotations__ if name in vars(cls)}
    given = ", ".join(f"{name}=_defaults[{name!r}]" if name in defaults else name for name in cls.__annotations__)
    kept = "; ".join(f"_own[{name!r}] = {name}" for name in cls.__annotations__)
    made: dict[str, Any] = {}
    exec(f"def __init__(self, {given}):\n _own = self.__dict__; {kept}", {"_defaults": defaults}, made)
    cls.__init__, cls.__eq__, cls.__hash__ = made["__init__"], _equal, _hash if frozen else None
    if frozen:
        cls.__setattr__ = _refuse
    return cls


def replace(record: Any, **changes: Any) -> Any:
    """A copy with other values. TypeError for a name that is none of its fields."""
    return type(record)(**{**vars(record), **changes})


def _equal(one: Any, other: object) -> bool:
    return type(one) is type(other) and vars(one) == vars(other)


def _hash(record: Any) -> int:
    return hash(tuple(vars(record).values()))


def _refuse(record: Any, name: str, _: object) -> None:
    raise AttributeError(f"{type(record).__name__}.{name} cannot be set")
