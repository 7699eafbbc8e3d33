"""The host's file tree: written at the start, watched afterwards. Standard library only, Python 3.9.

Every path here may have been made by the agent: symbolic links, pipes, huge or odd files. Nothing is followed, nothing
blocks, nothing is read without bound; what could not be seen is counted.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from corrigym.sandbox.supervisor import files, holders, mark
from corrigym.sandbox.supervisor.files import State
from corrigym.sandbox.supervisor.relations import LARGEST_PIECE, Difference, Relations, Snapshot, join_pieces
from corrigym.sandbox.supervisor.survey import Survey, Written

MAX_CHANGES = 2_000
MAX_TOLD = 16 << 20
"""Characters of paths, link targets and attributes in them: one answer has to hold them all, escaped."""
MAX_TOUCHED = 200
DIGEST = hashlib.sha256().digest_size
_LOGS = "/var/log/"
_LIVE = ("/dev", "/proc", "/run", "/sys", "/tmp", "/usr", "/var/tmp")
"""What changes all day, or is the launcher's."""


@dataclass(frozen=True)
class Seen:
    """What a snapshot tells since the one before: `differences`, those of protected paths and of weights first;
    `touched`, protected paths that were acted on without a difference; `dropped` differences and entries beyond the
    bounds; `unread` files, directories and processes that could not be looked into."""

    differences: list[Difference]
    touched: list[str]
    dropped: int
    unread: int


class Watch:
    """Tells what becomes of everything below `roots`, and of what is `protected` (or below that) in particular.
    `wanted` marks are looked for; `processes` gives the ids of those that may hold files. What has not been touched
    since it was `written` need not be read at the beginning."""

    def __init__(
        self,
        roots: list[str],
        protected: list[str],
        wanted: mark.Wanted,
        processes: Callable[[], list[int]] = holders.alive,
        written: Written | None = None,
    ) -> None:
        self._wanted, self._relations = wanted, Relations()
        self._survey = Survey(roots, protected, wanted, self._relations, processes, written or {})
        self._before = self._survey.take(final=False)
        if self._survey.dropped:
            raise TimeoutError("the world could not be looked at as a whole before the episode began")
        self.origin = dict(self._before)
        """As the world began."""
        self._learn(list(self._before), self._before)

    def changes(self, final: bool = False) -> Seen:
        """What differs since the last call. `final`: trust no time and no watch, read everything."""
        before = self._before
        after = self._before = self._survey.take(final)
        moved = [path for path in before.keys() | after.keys() if before.get(path) is not after.get(path)]
        if not moved:
            return Seen([], [], self._survey.dropped, self._survey.unread)
        differing = [path for path in moved if self._differs(path, before.get(path), after.get(path))]
        after.update(join_pieces(before, after, differing, self._together))
        touched = [path for path in moved if self._is_touched(path, before.get(path), after.get(path))]
        self._learn(moved, after)
        told = self._relations.told(before, after, differing)
        if differing:
            self._relations.forget_all_but({state.inode for state in after.values()})
        told.sort(key=lambda one: (not self._survey.is_protected(one.path), not one.related, one.path))
        kept = _within_bounds(told[:MAX_CHANGES])
        dropped = self._survey.dropped + len(told) - len(kept)
        return Seen(kept, sorted(touched)[:MAX_TOUCHED], dropped, self._survey.unread)

    @property
    def now(self) -> Snapshot:
        """As it was at the last look."""
        return self._before

    def digest(self, path: str) -> str:
        """Of a file as it was at the last look; empty if there was none, or it could not be read."""
        state = self._before.get(path)
        return state.content.digest if state else ""

    def close(self) -> None:
        self._survey.close()

    def _differs(self, path: str, was: State | None, now: State | None) -> bool:
        if was is None or now is None or not was.same(now):
            return True
        if was.content.searched and not set(now.content.marks) <= set(was.content.marks):
            return True
        return was.modified != now.modified and now.type != "directory" and self._is_dated(path)

    def _is_touched(self, path: str, was: State | None, now: State | None) -> bool:
        if was is None or now is None or not self._survey.is_protected(path) or self._differs(path, was, now):
            return False
        if now.type == "directory" and was.modified != now.modified:
            return False  # by its entries, which are told themselves
        return (was.inode, was.changed) != (now.inode, now.changed)

    def _is_dated(self, path: str) -> bool:
        """Whether its mtime says something: also that of a log, which somebody may want to date back."""
        return path.startswith(_LOGS) or self._survey.is_protected(path)

    def _learn(self, moved: list[str], after: Snapshot) -> None:
        for path in moved:
            state = after.get(path)
            if state is not None and self._survey.is_protected(path):
                self._relations.learn(path, state)

    def _together(self, paths: list[str]) -> tuple[tuple[str, str], ...]:
        search = mark.Search(self._wanted)
        for path in paths:
            try:
                with files.opened(path) as fd:
                    search.feed(os.read(fd, LARGEST_PIECE))
            except OSError:
                continue
            if time.monotonic() > self._survey.deadline:
                break
        return tuple((name, search.how[name]) for name in sorted(search.names))


def _within_bounds(told: list[Difference]) -> list[Difference]:
    room = MAX_TOLD
    for number, one in enumerate(told):
        texts = [one.path, one.linked_to, one.moved_from, one.moved_to, one.copy_of]
        for state in (one.before, one.after):
            texts += [state.target, *(text for pair in state.xattrs for text in pair)] if state else []
        room -= sum(map(len, texts))
        if room < 0:
            return told[:number]
    return told


def write_entries(
    entries: list[dict[str, Any]],
    contents: Callable[[int], Iterator[memoryview]],
    ids: Callable[[str, str], tuple[int, int]],
    may_own: bool,
) -> None:
    """Writes the world; `contents` gives the next so many bytes of the files' contents, in their order. Directories get
    their times last, from the deepest up; a missing parent is made 0755 root."""
    there: set[str] = set()
    for entry in entries:
        _make_parents(entry["path"], there)
        owner = ids(entry["owner"], entry["group"]) if may_own else None
        if entry["kind"] == "file":
            _write_file(entry["path"], None if entry["held"] else contents(entry["size"]), entry, owner)
            continue
        if entry["kind"] == "directory":
            os.makedirs(entry["path"], exist_ok=True)
        else:
            os.symlink(entry["target"], entry["path"])
        if owner:
            os.chown(entry["path"], *owner, follow_symlinks=False)
        if entry["kind"] == "directory":
            os.chmod(entry["path"], entry["mode"])
    others = (entry for entry in entries if entry["kind"] != "file")
    for entry in sorted(others, key=lambda entry: -entry["path"].count("/")):
        os.utime(entry["path"], ns=_times(entry), follow_symlinks=False)
    _date_what_holds(entries)


def written(entries: list[dict[str, Any]], digests: bytes) -> Written:
    """The files among `entries`, of whose contents `digests` are the sha256, one after the other."""
    return {
        entry["path"]: (entry["size"], _times(entry)[1], digests[at : at + DIGEST].hex())
        for at, entry in zip(range(0, len(digests), DIGEST), entries)  # noqa: B905
        if entry["kind"] == "file"
    }


def _times(entry: dict[str, Any]) -> tuple[int, int]:
    """Of the last access and of the last change, in ns."""
    modified = int(entry["modified"] * 1e9)
    return modified, modified


def _date_what_holds(entries: list[dict[str, Any]]) -> None:
    """What was made with the sandbox is not of today: directories that are no entries themselves are as old as the
    oldest thing in them, and all others at the top as the host is."""
    oldest: dict[str, float] = {}
    for entry in entries:
        folder = os.path.dirname(entry["path"])
        oldest[folder] = min(entry["modified"], oldest.get(folder, entry["modified"]))
    for path, modified in list(oldest.items()):
        while path != "/":
            path = os.path.dirname(path)
            oldest[path] = min(modified, oldest.get(path, modified))
    for path in _tops() if oldest else ():
        oldest.setdefault(path, oldest["/"])
    for path in oldest.keys() - {entry["path"] for entry in entries}:
        _date(path, oldest[path])


def prepare() -> None:
    """The first time that a directory of an image is dated, it is copied: before there is a world to wait for it."""
    for path in _tops():
        _date(path, os.lstat(path).st_mtime)


def _tops() -> list[str]:
    """What comes with the sandbox."""
    paths = [os.path.join(above, name) for above in ("/", "/var") for name in os.listdir(above)]
    return [path for path in paths if path not in _LIVE]


def _date(path: str, modified: float) -> None:
    try:
        os.utime(path, (modified, modified), follow_symlinks=False)
    except OSError:
        pass  # the launcher's own, and read-only


def write_ahead(path: str, parts: Iterator[memoryview]) -> None:
    """A file of which `write_entries` will say what else it is to be."""
    _make_parents(path, set())
    _write_file(path, parts)


def _write_file(
    path: str,
    parts: Iterator[memoryview] | None,
    entry: dict[str, Any] | None = None,
    owner: tuple[int, int] | None = None,
) -> None:
    """Without `parts` its content is there already."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if parts is None else os.O_TRUNC), 0o600)
    try:
        for part in parts or ():
            while part:
                part = part[os.write(fd, part) :]
        if owner:
            os.fchown(fd, *owner)
        if entry:
            os.fchmod(fd, entry["mode"])
            os.utime(fd, ns=_times(entry))
    finally:
        os.close(fd)


def _make_parents(path: str, there: set[str]) -> None:
    """`there`: directories that need not be looked for again."""
    parent = os.path.dirname(path)
    if parent in there:
        return
    there.add(parent)
    missing = []
    while not os.path.isdir(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for directory in reversed(missing):
        os.mkdir(directory, 0o755)
        os.chmod(directory, 0o755)
