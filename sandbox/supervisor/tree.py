"""The host's file tree: written at the start, watched afterwards. Standard library only, Python 3.9.

Every path here may have been made by the agent: symbolic links, pipes, huge or odd files. Nothing is followed, nothing
blocks, nothing is read without bound.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from corrigym.sandbox.supervisor import mark

MAX_ENTRIES = 100_000
"""Paths in a snapshot; what is beyond is counted, not silently left out."""
MAX_CHANGES = 2_000
HASH_LIMIT = 64 << 20
"""Bytes of a file that are hashed and searched for the canary; a longer one has no digest."""


@dataclass(frozen=True)
class State:
    """What a path was at one moment. `digest` is the sha256 of a regular file, "" if it could not be read whole."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    digest: str
    target: str
    canary: bool
    stamp: tuple[int, int, int]
    """Inode, mtime and ctime in ns: equal stamps and sizes mean that the content need not be read again."""

    def shown(self, owners: Callable[[int, int], tuple[str, str]]) -> dict[str, Any]:
        owner, group = owners(self.uid, self.gid)
        return {
            "type": self.type, "mode": format(self.mode, "04o"), "owner": owner, "group": group, "size": self.size,
            "links": self.links, "digest": self.digest, "target": self.target, "modified": self.stamp[1] / 1e9,
        }  # fmt: skip

    def same(self, other: State) -> bool:
        """Equal but for times and link count, which innocent reading and copying move."""
        return self.content == other.content and (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)

    @property
    def content(self) -> tuple[str, int, str, str]:
        return (self.type, 0 if self.type == "directory" else self.size, self.digest, self.target)


class Watch:
    """Snapshots of everything below `roots`; paths in `protected` (or below one) are read whole each time, others only
    when their stamp moved. `canary` marks the weights."""

    def __init__(self, roots: list[str], protected: list[str], canary: bytes) -> None:
        self._roots, self._protected, self._patterns = roots, tuple(protected), mark.patterns(canary)
        self._before: dict[str, State] = {}
        self.dropped = 0
        self.changes()

    def changes(self) -> list[tuple[str, State | None, State | None]]:
        """(path, before, after) of what differs since the last call, at most MAX_CHANGES, protected ones first."""
        before, after = self._before, self._snapshot()
        self._before = after
        differing = [
            (path, before.get(path), after.get(path))
            for path in before.keys() | after.keys()
            if not _same(before.get(path), after.get(path))
        ]
        differing.sort(key=lambda change: (not self._is_protected(change[0]), change[0]))
        self.dropped += max(0, len(differing) - MAX_CHANGES)
        return differing[:MAX_CHANGES]

    def state(self, path: str) -> State | None:
        return self._before.get(path)

    def _snapshot(self) -> dict[str, State]:
        found: dict[str, State] = {}
        for path in self._walk():
            if len(found) >= MAX_ENTRIES:
                self.dropped += 1
                continue
            state = self._look(path)
            if state is not None:
                found[path] = state
        return found

    def _walk(self) -> Iterator[str]:
        pending = list(self._roots)
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        yield entry.path
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
            except OSError:
                continue

    def _look(self, path: str) -> State | None:
        try:
            info = os.lstat(path)
        except OSError:
            return None
        stamp = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
        known = self._before.get(path)
        digest, canary = "", False
        if stat.S_ISREG(info.st_mode):
            if known and known.stamp == stamp and known.size == info.st_size and not self._is_protected(path):
                digest, canary = known.digest, known.canary
            else:
                digest, canary = self._read(path)
        return State(
            _kind(info.st_mode), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_size, info.st_nlink,
            digest, _target(path, info.st_mode), canary, stamp,
        )  # fmt: skip

    def _read(self, path: str) -> tuple[str, bool]:
        digest, search, total = hashlib.sha256(), mark.Search(self._patterns), 0
        try:
            with open_regular(path) as file:
                while chunk := file.read(1 << 20):
                    total += len(chunk)
                    if total > HASH_LIMIT:
                        return "", search.found
                    digest.update(chunk)
                    search.feed(chunk)
        except OSError:
            return "", search.found
        return digest.hexdigest(), search.found

    def _is_protected(self, path: str) -> bool:
        return any(path == item or path.startswith(item + "/") for item in self._protected)


def _same(before: State | None, after: State | None) -> bool:
    return before is not None and after is not None and before.same(after)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"), (stat.S_ISFIFO, "fifo"))
    return next((name for test, name in kinds if test(mode)), "other")


def _target(path: str, mode: int) -> str:
    if not stat.S_ISLNK(mode):
        return ""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def open_regular(path: str) -> Any:
    """A regular file for reading in binary; links in the last component, pipes and devices are refused by OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a regular file", path)
    return os.fdopen(fd, "rb")


def write_entries(entries: list[dict[str, Any]], ids: Callable[[str, str], tuple[int, int]], may_own: bool) -> None:
    """Writes the world. Directories get their times last, from the deepest up; a missing parent is made 0755 root."""
    for entry in entries:
        _make_parents(entry["path"])
        _write_entry(entry)
        if may_own:
            uid, gid = ids(entry["owner"], entry["group"])
            os.chown(entry["path"], uid, gid, follow_symlinks=False)
        if entry["kind"] != "link":
            os.chmod(entry["path"], entry["mode"])
    for entry in sorted(entries, key=lambda entry: -entry["path"].count("/")):
        os.utime(entry["path"], (entry["modified"], entry["modified"]), follow_symlinks=False)


def _write_entry(entry: dict[str, Any]) -> None:
    path = entry["path"]
    if entry["kind"] == "directory":
        os.makedirs(path, exist_ok=True)
    elif entry["kind"] == "link":
        os.symlink(entry["target"], path)
    else:
        with open(path, "wb") as file:
            file.write(entry["data"])


def _make_parents(path: str) -> None:
    missing = []
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for directory in reversed(missing):
        os.mkdir(directory, 0o755)
        os.chmod(directory, 0o755)
