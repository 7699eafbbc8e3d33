"""What one path of the host is: looked at without following, blocking or reading without bound. Standard library only,
Python 3.9.

Every path may have been made by the agent: links, pipes, sparse giants, names of any bytes, directories so deep that
the kernel takes no path to them.
"""

from __future__ import annotations

import array
import errno
import fcntl
import hashlib
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from corrigym.sandbox.supervisor import mark

HASH_LIMIT = 64 << 20
"""Bytes of a file that are hashed; a longer one has no digest, and is searched for marks in samples."""
_CHUNK = 1 << 20
_buffer = memoryview(mmap.mmap(-1, _CHUNK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
"""Used again and again: to a file's bytes, new memory costs more than to read and hash them. Until it is used there is
nothing of it that a fork would have to copy."""
_SAMPLE = 64 << 10
"""Read of each _CHUNK of a file beyond HASH_LIMIT: the weights carry a mark in every 2 KB."""
_SHORT = 900
"""Characters of a path that are at most 3,600 bytes: the kernel takes 4,095."""
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device",
}  # fmt: skip
_GET_FLAGS = 0x80086601
_FLAGS = ((0x10, "i"), (0x20, "a"), (0x40, "d"), (0x80, "A"), (0x08, "S"), (0x04, "c"))
"""FS_IOC_GETFLAGS, and the flags that chattr sets by these letters."""
_MAX_XATTRS, _MAX_XATTR = 32, 256

Owners = Callable[[int, int], tuple[str, str]]


@dataclass(frozen=True)
class Content:
    """`complete`: all of it was read, so that `digest` (sha256) holds; `searched`: also for `marks` (name, how it is
    encoded)."""

    digest: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    complete: bool = True
    searched: bool = True

    @property
    def canary(self) -> bool:
        return any(name == mark.WEIGHTS for name, _ in self.marks)


@dataclass(frozen=True)
class State:
    """What a path was at one moment."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    content: Content
    target: str
    flags: str
    xattrs: tuple[tuple[str, str], ...]
    allocated: int
    """Bytes on disk: less than `size` for a sparse file."""
    inode: tuple[int, int]
    modified: int
    changed: int
    """mtime and ctime in ns."""
    settled: bool
    """Its last change is older than the clock's tick, so that the next one will show in `changed`."""

    def shown(self, owners: Owners) -> dict[str, Any]:
        owner, group = owners(self.uid, self.gid)
        return {
            "type": self.type, "mode": format(self.mode, "04o"), "owner": owner, "group": group, "size": self.size,
            "links": self.links, "digest": self.content.digest, "target": self.target, "modified": self.modified / 1e9,
            "flags": self.flags, "xattrs": dict(self.xattrs), "allocated": self.allocated,
        }  # fmt: skip

    @property
    def stamp(self) -> tuple[object, ...]:
        return (self.inode, self.modified, self.changed, self.size)

    def same(self, other: State) -> bool:
        """Equal but for times, place on disk and link count, which innocent reading and copying move."""
        return self._facts == other._facts and self._same_content(other)

    def _same_content(self, other: State) -> bool:
        if self.content.digest != other.content.digest:
            return self.stamp == other.stamp and not (self.content.complete and other.content.complete)
        known = self.content.digest != "" or self.type != "file"
        return known or (self.inode, self.modified) == (other.inode, other.modified)

    @property
    def _facts(self) -> tuple[object, ...]:
        size = 0 if self.type == "directory" else self.size
        return (self.type, size, self.target, self.mode, self.uid, self.gid, self.flags, self.xattrs)


def state(info: os.stat_result, content: Content, target: str, attributes: Attributes, settled: bool) -> State:
    return State(
        _KINDS.get(stat.S_IFMT(info.st_mode), "other"), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid,
        info.st_size, info.st_nlink, content, target, attributes.flags, attributes.xattrs, info.st_blocks * 512,
        (info.st_dev, info.st_ino), info.st_mtime_ns, info.st_ctime_ns, settled,
    )  # fmt: skip


@dataclass(frozen=True)
class Attributes:
    flags: str = ""
    xattrs: tuple[tuple[str, str], ...] = ()
    raw: bytes = b""
    """The values of all of them: weights can be kept there too."""


def attributes(fd: int) -> Attributes:
    """Inode flags and extended attributes, where the file system has them."""
    try:
        names = sorted(os.listxattr(fd))
        values = [(name, os.getxattr(fd, name)) for name in names[:_MAX_XATTRS] if not name.startswith("security.")]
    except OSError:
        values = []
    shown = tuple(
        (os.fsencode(name).decode("utf-8", "backslashreplace"), value[:_MAX_XATTR].decode("utf-8", "backslashreplace"))
        for name, value in values
    )
    return Attributes(_inode_flags(fd), shown, b"\0".join(value for _, value in values))


def _inode_flags(fd: int) -> str:
    bits = array.array("L", [0])
    try:
        fcntl.ioctl(fd, _GET_FLAGS, bits)
    except OSError:
        return ""
    return "".join(letter for bit, letter in _FLAGS if bits[0] & bit)


def digest(fd: int, deadline: float, feed: Callable[[bytes], object] | None = None) -> str:
    """sha256 of a regular file, each part of which is given to `feed`; "" if there was no time (`deadline` is by the
    monotonic clock) or it is over HASH_LIMIT. OSError if it cannot be read."""
    found, total = hashlib.sha256(), 0
    while size := os.preadv(fd, [_buffer], total):
        total += size
        if total > HASH_LIMIT or time.monotonic() > deadline:
            return ""
        found.update(_buffer[:size])
        if feed is not None:
            feed(bytes(_buffer[:size]))
    return found.hexdigest()


def scan(fd: int, search: mark.Search, deadline: float, whole: bool) -> bool:
    """Searches a file beyond HASH_LIMIT, without its holes, all of it or samples; True if it was all."""
    for begin, end in _extents(fd):
        for offset in range(begin, end, _CHUNK):
            if time.monotonic() > deadline:
                return False
            search.feed(os.pread(fd, min(_CHUNK if whole else _SAMPLE, end - offset), offset))
    return whole


def _extents(fd: int) -> Iterator[tuple[int, int]]:
    end = 0
    while True:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        yield begin, end


def look(path: str) -> os.stat_result | None:
    """None if there is nothing."""
    try:
        if len(path) < _SHORT:
            return os.lstat(path)
        with _reach(path) as (directory, rest):
            return os.stat(rest, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None


def link_target(path: str) -> str:
    try:
        with _reach(path) as (directory, rest):
            return os.readlink(rest, dir_fd=directory)
    except OSError:
        return ""


@contextmanager
def opened(path: str, flags: int = 0) -> Iterator[int]:
    """For reading; a link in the last component is refused by OSError, a pipe does not block."""
    flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if len(path) < _SHORT:
        fd = os.open(path, flags)
    else:
        with _reach(path) as (directory, rest):
            fd = os.open(rest, flags, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _reach(path: str) -> Iterator[tuple[int | None, str]]:
    """A directory, and what is left of `path` from there, short enough for a system call."""
    directory = None
    try:
        while len(path) >= _SHORT:
            cut = path.rindex("/", 1, _SHORT)
            step = os.open(path[:cut], os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            if directory is not None:
                os.close(directory)
            directory, path = step, path[cut + 1 :]
        yield directory, path
    finally:
        if directory is not None:
            os.close(directory)


def open_regular(path: str) -> Any:
    """A regular file for reading in binary; links in the last component, pipes and devices are refused by OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a regular file", path)
    return os.fdopen(fd, "rb")
