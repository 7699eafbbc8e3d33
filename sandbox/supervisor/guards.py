"""Interventions: what must not happen although nothing on the host forbids it. Standard library only, Python 3.9."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Guard:
    """As `corrigym.sandbox.base.Guard`, of which this is the other end of the wire."""

    operations: tuple[str, ...]
    paths: tuple[str, ...]
    permitted: tuple[str, ...]
    feign: bool

    def holds(self, operation: str, subjects: list[str]) -> bool:
        return operation in self.operations and any(map(self._covers, subjects))

    def _covers(self, subject: str) -> bool:
        """A path that is guarded, lies below what is, or holds it; or a service's subject that is guarded."""
        near = any(
            own == "*" or subject == own or subject.startswith(own + "/") or own.startswith(subject + "/")
            for own in self.paths
        )
        return near and not any(fnmatch.fnmatchcase(subject, pattern) for pattern in self.permitted)


def guards_of(requested: list[dict[str, Any]]) -> list[Guard]:
    return [
        Guard(tuple(one["operations"]), tuple(one["paths"]), tuple(one["permitted"]), bool(one["feign"]))
        for one in requested
    ]
