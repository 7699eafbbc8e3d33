"""What the arguments of another process's system call point at: paths, words, addresses. Standard library only.

Everything here is read from processes of the agent's. Failing with OSError or ValueError is all right; blocking, or
reading without bound, is not.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = 4096
_IOVEC, _NO_FLAGS = struct.Struct("=QQ"), ctypes.c_ulong(0)
_AT_FDCWD = -100
LONGEST_PATH = 4096
MAX_WORDS = 256
MAX_DESCRIPTORS = 64


_buffer = ctypes.create_string_buffer(_PAGE)
_one = ctypes.c_ulong(1)


def memory(thread: int, address: int, size: int) -> bytes:
    """Up to `size` bytes of the caller's memory, at most a page, as far as they can be read in one go."""
    size = min(size, _PAGE)
    local, remote = _IOVEC.pack(ctypes.addressof(_buffer), size), _IOVEC.pack(address, size)
    count: int = _libc.process_vm_readv(thread, local, _one, remote, _one, _NO_FLAGS)
    if count < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")
    return _buffer.raw[:count] if count > 1024 else ctypes.string_at(_buffer, count)


def text(thread: int, address: int, limit: int = LONGEST_PATH) -> bytes:
    """A string that ends with a zero, without reading into a page that may not be there."""
    found = b""
    while len(found) < limit:
        chunk = memory(thread, address, min(_PAGE - address % _PAGE, 256 if not found else _PAGE))
        end = chunk.find(b"\0")
        if end >= 0:
            return found + chunk[:end]
        if not chunk:
            break
        found, address = found + chunk, address + len(chunk)
    return found[:limit]


def words(thread: int, address: int, limit: int) -> list[bytes]:
    """The strings that an argv points at, at most `limit` bytes of them."""
    found: list[bytes] = []
    while len(found) < MAX_WORDS and limit > 0:
        (pointer,) = struct.unpack("=Q", memory(thread, address + 8 * len(found), 8))
        if pointer == 0:
            break
        found.append(text(thread, pointer, limit))
        limit -= len(found[-1])
    return found


def path_of(thread: int, form: str, arguments: tuple[int, ...]) -> bytes:
    """The path that the arguments name in the `form` of `syscalls.Call`, absolute but not resolved."""
    kind, places = form[0].lower(), [int(place) for place in form[1:]]
    if kind == "f":
        return _link(thread, f"fd/{arguments[places[0]] & 0xFFFFFFFF}")
    address = arguments[places[-1]]
    name = text(thread, address) if address else b""
    if name.startswith(b"/"):
        return name
    directory = arguments[places[0]] & 0xFFFFFFFF if kind == "a" else _AT_FDCWD & 0xFFFFFFFF
    where = "cwd" if directory == _AT_FDCWD & 0xFFFFFFFF else f"fd/{directory}"
    base = _link(thread, where)
    return os.path.join(base, name) if name else base


def resolve(thread: int, path: bytes, *, follow: bool) -> bytes:
    """Without symbolic links, as the caller sees them; a last one only if the call follows it."""
    path = named(thread, path)
    if follow:
        return _real(path)
    head, _, tail = (path.rstrip(b"/") or b"/").rpartition(b"/")
    return os.path.normpath(os.path.join(_real(head or b"/"), tail))


def named(thread: int, path: bytes) -> bytes:
    """The path as everybody may write it who means what the thread means by it."""
    for own in (b"/proc/self", b"/proc/thread-self"):
        if path == own or path.startswith(own + b"/"):
            return b"/proc/%d" % thread + path[len(own) :]
    return path


def _real(path: bytes) -> bytes:
    return present(path) or os.path.realpath(path)


def present(path: bytes) -> bytes | None:
    """As os.path.realpath, by one look of the kernel's; None if nothing is there."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.readlink(b"/proc/self/fd/%d" % descriptor)
    finally:
        os.close(descriptor)


def identity(thread: int) -> tuple[int, set[int]]:
    """Its uid, and all its groups."""
    lines = status(thread)
    groups = {int(group) for group in lines.get("Groups", "").split()}
    return int(lines["Uid"].split()[1]), {int(lines["Gid"].split()[1]), *groups}


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status by its keys. A process may call itself by any bytes."""
    with open(f"/proc/{pid}/status", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def socket_name(data: bytes) -> bytes:
    """The path of a Unix socket's address; empty for others."""
    if len(data) < 3 or struct.unpack("=H", data[:2])[0] != socket.AF_UNIX:
        return b""
    return data[2:].split(b"\0")[0]


def address(data: bytes) -> tuple[str, int] | None:
    """Host and port of an internet address as connect takes it; None for others."""
    family = struct.unpack("=H", data[:2])[0]
    if family == socket.AF_INET and len(data) >= 8:
        return socket.inet_ntop(socket.AF_INET, data[4:8]), struct.unpack(">H", data[2:4])[0]
    if family == socket.AF_INET6 and len(data) >= 24:
        host = socket.inet_ntop(socket.AF_INET6, data[8:24])
        return host.removeprefix("::ffff:"), struct.unpack(">H", data[2:4])[0]
    return None


def command(pid: int) -> list[bytes]:
    """What the process was started with, at most 4 KB of it."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(4096).split(b"\0")[:-1]


def program(pid: int) -> str:
    """The name of what runs as `pid`; empty if there is no such process."""
    try:
        return os.readlink(f"/proc/{pid}/exe").rpartition("/")[2].removesuffix(" (deleted)")
    except OSError:
        return ""


def held_open(pid: int) -> list[bytes]:
    """The files that the process holds open, and those that whoever feeds its standard input holds open."""
    found, feeding = _files(pid)
    if feeding:
        for other in pids():
            if other != pid:
                theirs, _ = _files(other)
                if feeding in theirs:
                    found += theirs
    return [path for path in found if path.startswith(b"/")]


def process_of(thread: int) -> int:
    """The process that a thread belongs to; the thread itself if it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            return int(file.read(512).partition(b"\nTgid:")[2].split()[0])
    except (OSError, ValueError, IndexError):
        return thread


def ancestors(thread: int, until: tuple[str, ...]) -> list[int]:
    """The thread's process and those that it descends from, up to the first whose program is one of `until`."""
    found: list[int] = []
    pid = process_of(thread)
    while pid > 1 and len(found) < 8 and not (found and program(pid) in until):
        found.append(pid)
        pid = parent_of(pid)
    return found


def parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(1024).rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def pid_of_descriptor(thread: int, descriptor: int) -> int:
    """The process that a pidfd of the caller's stands for."""
    with open(f"/proc/{thread}/fdinfo/{descriptor & 0xFFFFFFFF}", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return int(lines["Pid"])


def _files(pid: int) -> tuple[list[bytes], bytes]:
    """What the descriptors of a process stand for, and the pipe on its standard input, if it is one."""
    folder = f"/proc/{pid}/fd"
    found, feeding = [], b""
    try:
        for name in os.listdir(folder)[:MAX_DESCRIPTORS]:
            target = os.fsencode(os.readlink(f"{folder}/{name}"))
            found.append(target)
            if name == "0" and target.startswith(b"pipe:"):
                feeding = target
    except OSError:
        pass  # it ended meanwhile
    return found, feeding


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _link(thread: int, name: str) -> bytes:
    return os.fsencode(os.readlink(f"/proc/{thread}/{name}")).removesuffix(b" (deleted)")
