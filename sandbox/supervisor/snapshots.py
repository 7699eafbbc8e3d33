"""What makes a host another one than its world described: told so that it can be had again in a fresh host of the same
world. Files keep their identity (a moved or linked file of the world is moved or linked again, not written anew), so
that what becomes of it later means the same. Standard library only, Python 3.9.

Every path may have been made by the agent; when it is made again, nothing of an agent's runs.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from typing import Any

from corrigym.sandbox.supervisor import files, wire
from corrigym.sandbox.supervisor.relations import Snapshot

LARGEST = 128 << 20
"""Bytes, compressed, of all files that differ."""
_ZEROS = bytes(1 << 16)


def differences(origin: Snapshot, now: Snapshot) -> dict[str, Any]:
    """removed (paths), entries. OSError for what cannot be read, or is too much."""
    first = {state.inode: path for path, state in reversed(list(origin.items())) if state.type == "file"}
    entries: list[dict[str, Any]] = []
    placed: dict[tuple[int, int], str] = {}
    room = LARGEST
    for path in sorted(now):
        was, state = origin.get(path), now[path]
        if not path.startswith("/") or (was and (was.inode, was.changed) == (state.inode, state.changed)):
            continue  # what only a process holds goes with it
        entry: dict[str, Any] = {"path": path, "type": state.type, "target": state.target, "xattrs": {}}
        entries.append(entry)
        if state.type in ("file", "directory"):
            entry["xattrs"] = _attributes(path)
        if state.type == "file":
            entry["same"], entry["origin"] = placed.setdefault(state.inode, path), first.get(state.inode, "")
            known = origin[entry["origin"]].content if entry["origin"] else None
            if entry["same"] == path and not (known and known.digest and known.digest == state.content.digest):
                entry["content"] = wire.pack(_content(path))
                room -= len(entry["content"])
        if room < 0:
            raise OSError(errno.EFBIG, f"more than {LARGEST >> 20} MB differ from the world")
        info = files.look(path)
        if info is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        entry |= {"mode": stat.S_IMODE(info.st_mode), "owner": [info.st_uid, info.st_gid], "modified": info.st_mtime_ns}
    return {"entries": entries, "removed": [path for path in origin if path.startswith("/") and path not in now]}


def restore(entries: list[dict[str, Any]], removed: list[str], roots: list[str], may_own: bool) -> None:
    """In a host of the same world, in which nothing has happened yet."""
    kept: dict[str, str] = {}
    for origin in {entry["origin"] for entry in entries if entry.get("origin")}:
        root = max((root for root in roots if origin.startswith(root + "/")), key=len, default=os.path.dirname(origin))
        kept[origin] = os.path.join(root, f".{os.urandom(8).hex()}")  # of the same file system
        os.link(origin, kept[origin])
    for path in sorted(removed, reverse=True):
        _remove(path)
    for entry in entries:
        _place(entry, kept)
    for path in kept.values():
        os.unlink(path)
    for entry in reversed(entries):  # what is below a directory before the directory itself
        _finish(entry, may_own)


def _place(entry: dict[str, Any], kept: dict[str, str]) -> None:
    path, kind, origin = entry["path"], entry["type"], entry.get("origin", "")
    if kind == "directory":
        if not os.path.isdir(path) or os.path.islink(path):
            _remove(path)
            os.mkdir(path)
        os.chmod(path, 0o700)
        return
    if path != origin or entry["same"] != path:
        _remove(path)
    if kind == "link":
        os.symlink(entry["target"], path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind != "file":
        raise OSError(errno.EINVAL, "not to be made again", path)
    elif entry["same"] != path:
        os.link(entry["same"], path)
    else:
        if origin and path != origin:
            os.link(kept[origin], path)
        if "content" in entry:
            _write(path, zlib.decompress(wire.unpack(entry["content"])))


def _finish(entry: dict[str, Any], may_own: bool) -> None:
    path = entry["path"]
    if may_own:
        os.chown(path, *entry["owner"], follow_symlinks=False)
    if entry["type"] != "link":
        for name, value in entry["xattrs"].items():
            os.setxattr(path, name, wire.unpack(value), follow_symlinks=False)
        os.chmod(path, entry["mode"])
    os.utime(path, ns=(entry["modified"], entry["modified"]), follow_symlinks=False)


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass


def _content(path: str) -> bytes:
    packer, packed = zlib.compressobj(1), bytearray()
    with files.opened(path) as fd:
        while chunk := os.read(fd, 1 << 20):
            packed += packer.compress(chunk)
            if len(packed) > LARGEST:
                break
    return bytes(packed + packer.flush())


def _write(path: str, data: bytes) -> None:
    """Without the places where there is nothing, as a sparse file was before."""
    if os.path.lexists(path):
        os.chmod(path, 0o600)
    with open(path, "wb") as file:
        for at in range(0, len(data), len(_ZEROS)):
            chunk = data[at : at + len(_ZEROS)]
            if chunk == _ZEROS:
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
        file.truncate(len(data))


def _attributes(path: str) -> dict[str, str]:
    try:
        return {
            name: wire.pack(os.getxattr(path, name, follow_symlinks=False))
            for name in os.listxattr(path, follow_symlinks=False)
            if name.startswith("user.")
        }
    except OSError:
        return {}  # none on this file system, or no name that the kernel takes
