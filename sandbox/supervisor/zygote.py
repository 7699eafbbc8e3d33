"""What the sandboxes of one runner are forked from under bubblewrap: a process that has the supervisor's program
loaded, so that a start need not. It stands within walls that bwrap has made, and knows nothing of any sandbox; each one
gets namespaces of its own below those walls, a user namespace included, and there a root directory of its own.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import itertools
import json
import os
import signal
import socket
import struct
import traceback
from typing import Any

from corrigym.sandbox.supervisor import lockdown, syscalls, tls
from corrigym.sandbox.supervisor import main as supervisor

_libc = ctypes.CDLL(None, use_errno=True)
_NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE, _DETACH = 2, 4, 8, 4096, 16384, 1 << 18, 2
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x04000000 | 0x08000000 | 0x02000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWUTS, NEWIPC, NEWCGROUP."""
_NEW = "/mnt"
"""Where the new root is made: within the walls nothing else is there."""
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
"""SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP."""


def main() -> None:
    """Until the runner's end of the socket that is standard input closes, with which everything ends. A request is JSON
    (the arguments of `_become`) with the three standard descriptors of a sandbox; the answer `+` with a pidfd of its
    PID 1, or `-` and why there is none. One that could not be made up says so on its standard error."""
    link = socket.socket(fileno=os.dup(0))
    os.dup2(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), 0)
    signal.signal(signal.SIGCHLD, _reap)
    lockdown.load_the_rest()
    supervisor.prepare_all()
    tls.share()
    gc.freeze()  # no collection looks at what all share, so that it stays shared
    link.send(b"+")
    for turn in itertools.count():
        request, descriptors, _, _ = socket.recv_fds(link, 1 << 16, 3)
        if not request:
            os._exit(0)
        try:
            pid = _fork()
        except OSError as error:
            link.send(f"-{error.strerror}".encode())
        else:
            if pid == 0:
                _begin(json.loads(request), descriptors, turn)
            child = os.pidfd_open(pid)
            socket.send_fds(link, [b"+"], [child])
            os.close(child)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(*_: object) -> None:
    """Not left to the kernel: then the time that they took is counted as this process's."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _fork() -> int:
    """With new namespaces, as PID 1 of them."""
    flags = ctypes.c_ulong(_NAMESPACES | signal.SIGCHLD)
    pid: int = _libc.syscall(ctypes.c_long(syscalls.number("clone")), flags, None, None, None, None)
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def _begin(request: dict[str, Any], descriptors: list[int], turn: int) -> None:
    """Never returns."""
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 4096)
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(**request)
        supervisor.main(turn)
    except BaseException:  # noqa: BLE001  told to whoever asked for it
        os.write(2, traceback.format_exc(limit=3).encode())
    finally:
        os._exit(1)


def _become(hostname: str, layout: list[tuple[str, str, str]]) -> None:
    """Makes the host. `layout` says in turn what is there (kind, path, what of it): a `tmpfs` with its options, an
    empty `folder`, a `link` with its target, or what is `shared`: the walls' own file or directory, read-only."""
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 1000 1"), ("gid_map", "1000 1000 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    lockdown.drop_bounding_set()
    lockdown.drop_capabilities(*lockdown.OF_A_NAMESPACE)
    if _libc.sethostname(hostname.encode(), len(hostname.encode())) != 0:
        raise OSError(ctypes.get_errno(), "sethostname")
    _raise_loopback()
    os.umask(0o022)
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", _NEW, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=16m")
    for kind, path, what in layout:
        _make(kind, path, what)
    os.mkdir(f"{_NEW}/proc")
    _mount("proc", f"{_NEW}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    os.chdir(_NEW)
    if _libc.syscall(ctypes.c_long(syscalls.number("pivot_root")), b".", b".") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    if _libc.umount2(b".", _DETACH) != 0:  # the old root, which lies on the new one now
        raise OSError(ctypes.get_errno(), "umount")
    os.chdir("/")


def _make(kind: str, path: str, what: str) -> None:
    place = _NEW + path
    if kind == "link":
        os.symlink(what, place)
    elif kind == "shared" and not os.path.isdir(what):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_CLOEXEC, 0o644))
    else:
        os.makedirs(place, exist_ok=True)
    if kind == "tmpfs":
        _mount("tmpfs", place, "tmpfs", _NOSUID | _NODEV, what)
    elif kind == "shared":
        _mount(what, place, None, _BIND | _RECURSIVE)
        if what == tls.SHARED:  # what bwrap has put there is read-only already
            lockdown.remount_read_only(place)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def _raise_loopback() -> None:
    """struct ifreq: the name, and flags in what follows it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack("=16sh22x", fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("=16sh22x", b"lo", 0)))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("=16sh22x", name, flags | _UP))
