"""Snapshots of the host's file tree, bounded in entries, memory and time. Standard library only, Python 3.9."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from corrigym.sandbox.supervisor import files, holders, mark
from corrigym.sandbox.supervisor.files import Attributes, Content, State
from corrigym.sandbox.supervisor.relations import Relations, Snapshot
from corrigym.sandbox.supervisor.writes import Writes


def _has_fine_times(release: str) -> bool:
    """From Linux 6.13 on, a change after somebody has looked at a file's ctime always leaves another one (multigrain
    timestamps, of tmpfs and of what engines keep their layers on). Not so a directory's, which link and unlink give the
    time of the file."""
    version = re.match(r"(\d+)\.(\d+)", release)
    return version is not None and (int(version[1]), int(version[2])) >= (6, 13)


MAX_ENTRIES = 100_000
MAX_PATHS = 32 << 20
"""Paths in a snapshot, and their characters in all; what is beyond is counted, not silently left out."""
MAX_CONTENTS = 10_000
FIRST_DEADLINE, DEADLINE, FINAL_DEADLINE = 60.0, 2.0, 20.0
"""Seconds for one snapshot. The first is of what we wrote ourselves, and all others are held against it."""
UNNAMED = "(deleted) "
"""Before the last name of a file that only a process holds."""
_FINE, _TICK = _has_fine_times(os.uname().release), 20_000_000
"""ns: two changes within so much may leave the same ctime."""

Marks = tuple[tuple[str, str], ...]
Stamp = tuple[int, int, int]
"""Device, inode and ctime in ns."""
Listing = tuple[Stamp, list[str]]
"""A directory's, and the paths in it."""
Pending = list[tuple[str, Stamp]]
"""Directories that are to be walked, as they were when they were met."""
Written = dict[str, tuple[int, int, str]]
"""Path -> size, mtime in ns and sha256 of a file that we have written."""


class Survey:
    """Takes one snapshot after the other of everything below `roots`. A file is read when its inode or ctime moved; a
    protected one also when anybody has written to it or may still do so through a mapping. The first snapshot takes
    what is still as it was `written` for read."""

    def __init__(
        self, roots: list[str], protected: list[str], wanted: mark.Wanted, relations: Relations,
        processes: Callable[[], list[int]], written: Written,
    ) -> None:  # fmt: skip
        self._written = written
        self._roots, self._protected, self._wanted = roots, dict.fromkeys(protected), wanted
        self._below = tuple(path + "/" for path in protected)
        self._relations, self._processes, self._writes = relations, processes, Writes()
        self._guarded: set[tuple[int, int]] = set()
        self._contents: dict[int, dict[str, Content]] = {}
        """By size, then by digest: what was searched once need not be again."""
        self._before: Snapshot = {}
        self._listed: dict[str, Listing] = {}
        self._first = True
        self.dropped = self.unread = 0
        """Of the last snapshot: entries left out, and what could not be looked into."""
        self.deadline = 0.0
        """By the monotonic clock."""

    def take(self, final: bool) -> Snapshot:
        """`final`: trust no time and no watch, read everything."""
        began = time.monotonic()
        seconds = FIRST_DEADLINE if self._first else FINAL_DEADLINE if final else DEADLINE
        self.deadline, self._final = began + seconds, final
        self._began = time.time_ns()
        self.dropped = self.unread = 0
        self._room, self._cut = MAX_PATHS, False
        self._closed: list[str] = []
        self._listed_before, self._listed = self._listed, {}
        held = holders.held(self._processes(), began + DEADLINE / 4)
        self.unread += held.blind
        self._suspects = self._writes.taken() | held.writable
        if len(self._contents) > MAX_CONTENTS:
            self._contents.clear()
        self._guarded &= {state.inode for state in self._before.values()}
        self._suspects |= {inode for inode in self._guarded if held.blind or inode not in self._writes}
        found: Snapshot = {}
        self._look_at_unnamed(held, found)
        pending: Pending = []
        for path in self._protected:
            self._visit(path, found, pending)
        self._walk(pending, found)
        protected_seen = not self._cut
        self._walk([(root, _stamp(info)) for root in reversed(self._roots) if (info := files.look(root))], found)
        if held.blind or self._closed or self._cut:
            self._keep_unseen(found, bool(held.blind), protected_seen)
        self._before, self._first, self._written = found, False, {}
        return found

    def is_protected(self, path: str) -> bool:
        return path.startswith(self._below) or path in self._protected

    def close(self) -> None:
        self._writes.close()

    def _walk(self, pending: Pending, found: Snapshot) -> None:
        while pending:
            if self._cut and time.monotonic() > self.deadline:
                self.dropped += len(pending)
                return
            directory, met = pending.pop()
            try:
                for path in self._paths_in(directory, met):
                    if path not in found:
                        self._visit(path, found, pending)
                    if self._cut and time.monotonic() > self.deadline:
                        break
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.unread += 1
                self._closed.append(directory + "/")

    def _paths_in(self, directory: str, met: Stamp) -> Iterator[str]:
        """Its entries; those of the last time if it has not changed since."""
        last = self._listed_before.get(directory)
        if last and not self._final and met == last[0]:
            self._listed[directory] = last
            yield from last[1]
            return
        paths: list[str] = []
        with files.opened(directory, os.O_DIRECTORY) as fd, os.scandir(fd) as entries:
            stamp = _stamp(os.fstat(fd))
            for entry in entries:
                path = f"{directory}/{entry.name}"
                if not self._cut:
                    paths.append(path)
                yield path
        if not self._cut and stamp[2] < self._began - _TICK:
            self._listed[directory] = stamp, paths

    def _visit(self, path: str, found: Snapshot, pending: Pending) -> None:
        self._room -= len(path)
        if self._room < 0 or len(found) >= MAX_ENTRIES or time.monotonic() > self.deadline:
            self.dropped += 1
            self._cut = True
            return
        info = files.look(path)
        if info is None:
            return
        found[path] = self._state(path, info)
        if stat.S_ISDIR(info.st_mode):
            pending.append((path, _stamp(info)))

    def _keep_unseen(self, found: Snapshot, blind: bool, protected_seen: bool) -> None:
        """Not seen is not removed: entries of closed directories, and of those that there was no time or room for."""
        closed = tuple(self._closed)
        for path, state in self._before.items():
            if path in found or len(found) >= 2 * MAX_ENTRIES:
                continue
            left_out = self._cut and not (protected_seen and self.is_protected(path))
            if blind if path.startswith(UNNAMED) else left_out or path.startswith(closed):
                found[path] = state

    def _state(self, path: str, info: os.stat_result) -> State:
        known, inode = self._before.get(path), (info.st_dev, info.st_ino)
        if (
            known is not None and known.settled and known.changed == info.st_ctime_ns and known.inode == inode
            and inode not in self._suspects and not self._final
        ):  # fmt: skip
            return known
        if stat.S_ISLNK(info.st_mode):
            target = files.link_target(path)
            return self._made(info, Content("", self._marks_in(os.fsencode(target))), Attributes(), target)
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            return self._made(info, Content(), Attributes())
        try:
            with files.opened(path) as fd:
                return self._opened(fd, path, self.is_protected(path), known)
        except OSError:
            return self._unreadable(info, known)

    def _opened(self, fd: int, path: str, protected: bool, known: State | None) -> State:
        info, attributes = os.fstat(fd), files.attributes(fd)
        inside = self._marks_in(attributes.raw) if attributes.raw else ()
        if not stat.S_ISREG(info.st_mode):
            return self._made(info, Content("", inside), attributes)
        if protected:
            self._writes.watch(fd)
            self._guarded.add((info.st_dev, info.st_ino))
        content = self._as_written(path, info)
        if content is None:
            stands = known is not None and (known.content.searched or known.changed == info.st_ctime_ns)
            content = self._content(fd, info.st_size, known.content if known is not None and stands else None)
        self.unread += not content.complete
        return self._made(info, replace(content, marks=content.marks + inside) if inside else content, attributes)

    def _as_written(self, path: str, info: os.stat_result) -> Content | None:
        """None where somebody may have been at it since."""
        size, modified, digest = self._written.get(path, (-1, 0, ""))
        if (info.st_size, info.st_mtime_ns) != (size, modified) or (info.st_dev, info.st_ino) in self._suspects:
            return None
        return Content(digest, searched=False) if size <= files.HASH_LIMIT else None

    def _content(self, fd: int, size: int, last: Content | None) -> Content:
        """To search costs ten times what to hash does: so not what the world began with, nor anything twice."""
        known = {**self._contents.get(size, {}), **({last.digest: last} if last else {})}
        if self._first or known:
            digest = files.digest(fd, self.deadline)
            if digest and digest in known:
                return known[digest]
            if self._first:
                return Content(digest, (), complete=digest != "", searched=False)
        search = mark.Search(self._wanted)
        if size > files.HASH_LIMIT:
            digest, whole = "", files.scan(fd, search, self.deadline, self._final)
        else:
            digest = files.digest(fd, self.deadline, search.feed)
            whole = digest != ""
        content = Content(digest, _marks(search), whole and not search.cut)
        if digest:
            self._contents.setdefault(size, {})[digest] = content
        return content

    def _marks_in(self, data: bytes) -> Marks:
        search = mark.Search(self._wanted)
        search.feed(data)
        return _marks(search)

    def _unreadable(self, info: os.stat_result, known: State | None) -> State:
        """What was known holds on if nobody has written to it meanwhile."""
        inode = (info.st_dev, info.st_ino)
        if known is None or known.inode != inode:
            content, attributes = Content(complete=False), Attributes()
        else:
            unwritten = inode in self._writes and inode not in self._suspects and known.modified == info.st_mtime_ns
            content = known.content if unwritten else Content(complete=False)
            attributes = Attributes(known.flags, known.xattrs)
        if not stat.S_ISREG(info.st_mode):
            return self._made(info, Content(), attributes)
        self.unread += not content.complete
        return self._made(info, content, attributes)

    def _made(self, info: os.stat_result, content: Content, attributes: Attributes, target: str = "") -> State:
        inode = (info.st_dev, info.st_ino)
        tick = 0 if _FINE and not stat.S_ISDIR(info.st_mode) else _TICK
        # who has it open for writing may be amid a call that sets no time any more
        quiet = info.st_ctime_ns < self._began - tick and inode not in self._suspects
        settled = quiet or inode in self._writes
        return files.state(info, content, target, attributes, settled and time.monotonic() <= self.deadline)

    def _look_at_unnamed(self, held: holders.Held, found: Snapshot) -> None:
        """Files without a name count only if they hold what is protected: programs use them innocently."""
        for inode, (name, fd) in held.unnamed.items():
            try:
                state = self._opened(fd, "", protected=False, known=None)
            finally:
                os.close(fd)
            if state.content.canary or self._relations.knows(inode, state.content.digest):
                path, number = UNNAMED + name, 2
                while path in found:
                    path, number = f"{UNNAMED}{name} [{number}]", number + 1
                found[path] = state


def _stamp(info: os.stat_result) -> Stamp:
    return info.st_dev, info.st_ino, info.st_ctime_ns


def _marks(search: mark.Search) -> Marks:
    return tuple((name, search.how[name]) for name in sorted(search.names))
