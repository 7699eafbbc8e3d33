"""Tells which files may have been written since they were last read: by inotify, which cannot be avoided by a store
through a mapping. (Such a store need not move any time of a tmpfs file; but the file must have been opened for writing,
and is closed once the last mapping is gone.) Standard library only, Python 3.9.
"""

from __future__ import annotations

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_MODIFY, _CLOSE_WRITE, _OVERFLOW, _IGNORED = 0x2, 0x8, 0x4000, 0x8000
_HEADER = struct.Struct("iIII")

Inode = tuple[int, int]


class Writes:
    """Inodes under watch. What a living process still holds open for writing is not told: that is `holders`' part."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._inodes: dict[int, Inode] = {}
        self._watches: dict[Inode, int] = {}

    def __contains__(self, inode: Inode) -> bool:
        return inode in self._watches

    def watch(self, fd: int) -> None:
        """From now on; does nothing where the kernel gives no watch (then `inode in writes` stays False)."""
        info = os.fstat(fd)
        inode = (info.st_dev, info.st_ino)
        if self._fd < 0 or inode in self._watches:
            return
        watch = _libc.inotify_add_watch(self._fd, b"/proc/self/fd/%d" % fd, _MODIFY | _CLOSE_WRITE)
        if watch >= 0:
            self._inodes[watch], self._watches[inode] = inode, watch

    def taken(self) -> set[Inode]:
        """What was written to, or closed by a writer, since the last call."""
        written: set[Inode] = set()
        for watch, mask in self._events():
            if mask & _OVERFLOW:
                written |= self._watches.keys()
            elif mask & _IGNORED:
                self._watches.pop(self._inodes.pop(watch, (0, 0)), None)
            elif watch in self._inodes:
                written.add(self._inodes[watch])
        return written

    def _events(self) -> list[tuple[int, int]]:
        found = []
        while self._fd >= 0:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                break
            at = 0
            while at < len(data):
                watch, mask, _, name = _HEADER.unpack_from(data, at)
                found.append((watch, mask))
                at += _HEADER.size + name
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
