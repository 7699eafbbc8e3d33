"""What the living processes of the host keep hold of: files open for writing, and files that have no name any more.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass

from corrigym.sandbox.supervisor import lockdown, targets

Inode = tuple[int, int]
MAX_UNNAMED, MAX_MAPPED = 64, 64 << 20
_DELETED = " (deleted)"


@dataclass
class Held:
    """`writable`: inodes open for writing or mapped shared. `unnamed`: what files without a name (deleted ones,
    memfds) were called, and a descriptor of ours on each, to be closed. `blind`: what could not be looked at."""

    writable: set[Inode]
    unnamed: dict[Inode, tuple[str, int]]
    blind: int = 0


def alive() -> list[int]:
    """All processes of this pid namespace but this one."""
    own = os.getpid()
    return [pid for pid in targets.pids() if pid != own]


def held(pids: list[int], deadline: float) -> Held:
    """By those processes. What comes after `deadline` (monotonic) is counted as `blind`."""
    found = Held(set(), {})
    for pid in pids:
        if time.monotonic() > deadline:
            found.blind += 1
            continue
        try:
            _process(pid, found)
        except PermissionError:
            found.blind += not _as_its_owner(pid, found)
        except OSError:
            pass  # it has ended
    return found


def _as_its_owner(pid: int, found: Held) -> bool:
    """Root without CAP_SYS_PTRACE may not look at another's process; its owner may. False if that does not help."""
    try:
        status = targets.status(pid)
        if status["State"].startswith(("Z", "X")):
            return True
        with lockdown.acting_as(int(status["Uid"].split()[1]), int(status["Gid"].split()[1])):
            _process(pid, found)
    except PermissionError:
        return False
    except OSError:
        pass  # it has ended
    return True


def _process(pid: int, found: Held) -> None:
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            _descriptor(f"/proc/{pid}", name, found)
        except FileNotFoundError:
            continue
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            place, permissions, _, device, number, *rest = line.split(None, 5)
            if permissions[3] != "s" or number == "0":
                continue
            major, minor = device.split(":")
            inode = (os.makedev(int(major, 16), int(minor, 16)), int(number))
            found.writable.add(inode)
            name = rest[0].rstrip("\n") if rest else ""
            if name.endswith(_DELETED) and inode not in found.unnamed:
                _mapped(pid, place, name, inode, found)


def _mapped(pid: int, place: str, name: str, inode: Inode, found: Held) -> None:
    """A file that is reached through a mapping alone: what is mapped of it, up to MAX_MAPPED bytes."""
    begin, end = (int(text, 16) for text in place.split("-"))
    if len(found.unnamed) >= MAX_UNNAMED or end - begin > MAX_MAPPED:
        found.blind += 1
        return
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(begin)
            data = memory.read(end - begin)
    except OSError:
        found.blind += 1
        return
    fd = os.memfd_create("")
    with open(fd, "wb", closefd=False) as copy:
        copy.write(data)
    found.unnamed[inode] = (name[: -len(_DELETED)], fd)


def _descriptor(process: str, name: str, found: Held) -> None:
    info = os.stat(f"{process}/fd/{name}")
    if not stat.S_ISREG(info.st_mode):
        return
    inode = (info.st_dev, info.st_ino)
    with open(f"{process}/fdinfo/{name}") as file:
        flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))
    if flags & os.O_ACCMODE != os.O_RDONLY:
        found.writable.add(inode)
    if info.st_nlink == 0 and inode not in found.unnamed:
        _unnamed(f"{process}/fd/{name}", inode, found)


def _unnamed(link: str, inode: Inode, found: Held) -> None:
    if len(found.unnamed) >= MAX_UNNAMED:
        found.blind += 1
        return
    try:
        name = os.readlink(link)
        fd = os.open(link, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        found.blind += 1
        return
    name = name[: -len(_DELETED)] if name.endswith(_DELETED) else name
    found.unnamed[inode] = (name, fd)
