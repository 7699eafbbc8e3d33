"""What the changes of one step have to do with the protected files: names of the same inode, moves, copies, and pieces.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from corrigym.sandbox.supervisor.files import State

SMALLEST_COPY = 16
"""Bytes from which on equal content is taken for a copy."""
LARGEST_PIECE = 4096
"""A longer piece of the weights holds a whole mark."""
MAX_JOINED = 64 << 20

Snapshot = dict[str, State]


@dataclass(frozen=True)
class Difference:
    """A path that differs. The other fields are protected paths (but `moved_to`, which is where this one went):
    `linked_to` has the same inode, `moved_from` had it, `copy_of` has or had the same content."""

    path: str
    before: State | None
    after: State | None
    linked_to: str = ""
    moved_from: str = ""
    moved_to: str = ""
    copy_of: str = ""

    @property
    def marked(self) -> bool:
        return self.after is not None and self.after.content.canary

    @property
    def related(self) -> bool:
        return self.marked or any((self.linked_to, self.moved_from, self.moved_to, self.copy_of))


class Relations:
    """Remembers which inodes and which contents protected files ever had."""

    def __init__(self) -> None:
        self._inodes: dict[tuple[int, int], str] = {}
        self._contents: dict[str, str] = {}

    def learn(self, path: str, state: State) -> None:
        """Of a protected file."""
        if state.type == "file":
            # an inode that came from another protected path keeps its origin
            self._inodes.setdefault(state.inode, path)
            if state.size >= SMALLEST_COPY and state.content.digest:
                self._contents.setdefault(state.content.digest, path)

    def knows(self, inode: tuple[int, int], digest: str) -> bool:
        return inode in self._inodes or digest in self._contents

    def forget_all_but(self, inodes: set[tuple[int, int]]) -> None:
        """The file system may use the number of an inode again that no name and no process holds any more."""
        self._inodes = {inode: path for inode, path in self._inodes.items() if inode in inodes}

    def told(self, before: Snapshot, after: Snapshot, differing: list[str]) -> list[Difference]:
        places: dict[tuple[int, int], list[str]] = defaultdict(list)
        if any(self._lost(path, before, after) for path in differing):
            for path, state in after.items():
                if state.inode in self._inodes:
                    places[state.inode].append(path)
        return [self._difference(path, before.get(path), after.get(path), after, places) for path in differing]

    def _lost(self, path: str, before: Snapshot, after: Snapshot) -> bool:
        was, now = before.get(path), after.get(path)
        return was is not None and was.inode in self._inodes and (now is None or now.inode != was.inode)

    def _difference(
        self, path: str, was: State | None, now: State | None, after: Snapshot,
        places: dict[tuple[int, int], list[str]],
    ) -> Difference:  # fmt: skip
        linked_to = moved_from = moved_to = copy_of = ""
        if was is not None and (now is None or now.inode != was.inode):
            moved_to = next((place for place in places.get(was.inode, []) if place != path), "")
        if now is not None and (was is None or was.inode != now.inode):
            origin = self._inodes.get(now.inode, path)
            if origin != path:
                there = after.get(origin)
                linked_to, moved_from = (origin, "") if there and there.inode == now.inode else ("", origin)
        if now is not None and not (linked_to or moved_from) and (was is None or was.content != now.content):
            origin = self._contents.get(now.content.digest, path)
            copy_of = origin if origin != path else ""
        return Difference(path, was, now, linked_to, moved_from, moved_to, copy_of)


def join_pieces(
    before: Snapshot,
    after: Snapshot,
    differing: list[str],
    marks_of: Callable[[list[str]], tuple[tuple[str, str], ...]],
) -> dict[str, State]:
    """New files of one directory and one size, each too short to hold a whole mark: their states with the marks that
    they hold together, in the order of their names, by `marks_of`."""
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for path in differing:
        state = after.get(path)
        if path not in before and state and state.type == "file" and 0 < state.size < LARGEST_PIECE:
            groups[os.path.dirname(path), state.size].append(path)
    found: dict[str, State] = {}
    total = 0
    for (_, size), paths in groups.items():
        total += size * len(paths)
        marks = marks_of(sorted(paths)) if len(paths) > 1 and total <= MAX_JOINED else ()
        for path in paths if marks else ():
            found[path] = replace(after[path], content=replace(after[path].content, marks=marks))
    return found
