"""What stands between the agent's processes and everything else, applied by the supervisor to itself and to each child
before it executes anything. Standard library only, Python 3.9: this runs inside the sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

from corrigym.sandbox.supervisor import seccomp, syscalls, targets

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 15, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LATER = ("bz2", "encodings.ascii", "encodings.latin_1", "lzma", "ssl")
_LAST_CAPABILITY = 40
_CLONE_FS = 0x200
"""Working directory and umask."""
_LIMITS = {
    "NPROC": "Max processes", "FSIZE": "Max file size", "AS": "Max address space", "CORE": "Max core file size",
    "NOFILE": "Max open files",
}  # fmt: skip
"""As /proc/PID/limits has them."""
CAP_SYS_PTRACE = 19
OF_A_NAMESPACE = (10, 12, CAP_SYS_PTRACE, 21, 24)
"""NET_BIND_SERVICE, NET_ADMIN, SYS_PTRACE, SYS_ADMIN, SYS_RESOURCE: what the supervisor needs in namespaces of its own
to set the host up. Before anything of the agent's runs it keeps only SYS_PTRACE, to read what a system call's arguments
point at."""


def hide_from_ptrace() -> None:
    """Makes this process's memory and descriptors unreachable for other processes of the same uid."""
    _prctl(_PR_SET_DUMPABLE, 0)


def look_like_init() -> None:
    """`ps` shows this process as it shows the first one of any host, and the engine's mark in / goes."""
    _prctl(_PR_SET_NAME, b"systemd")
    with open("/proc/self/stat") as file:
        begin, end = (int(field) for field in file.read().rpartition(")")[2].split()[45:47])  # arg_start, arg_end
    line = b"/sbin/init".ljust(end - begin - 1, b"\0") + b"\1"  # not zero: the kernel takes it as setproctitle(3) does
    ctypes.memmove(begin, line, end - begin)
    try:
        os.unlink("/.dockerenv")
    except OSError:
        pass


def forbid_user_namespaces() -> None:
    """Where we own the user namespace: nobody below opens another one (and gains capabilities in it)."""
    try:
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    except OSError:
        pass  # not ours to set (Docker): its seccomp profile refuses new namespaces there, and isolation() tells


def drop_capabilities(*keep: int) -> None:
    """Gives up every capability for good (but those of `keep`), inheritable and ambient ones included."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = sum(1 << capability for capability in keep)
    # effective, permitted, inheritable; first the low halves, then the high ones
    if _libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def load_the_rest() -> None:
    """What not every episode needs, before anything runs as root: then the files that it comes from may be changed."""
    for name in _LATER:
        with contextlib.suppress(ImportError):
            __import__(name)
    sys.path.clear()


def drop_bounding_set() -> None:
    """Of this process and all that it forks. Needs CAP_SETPCAP; without it there is nothing to drop, as
    no-new-privileges forbids gaining any."""
    for capability in range(_LAST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            return


def confine(uid: int | None, gid: int, groups: list[int], limits: dict[str, int], *, listen: bool) -> int | None:
    """For a child between fork and exec: limits, identity (None keeps it), no capabilities, the system-call filter (the
    bounding set, the supervisor has dropped for all). With `listen` returns the descriptor on which its watched calls
    are told."""
    limit(limits)
    if uid is not None:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    drop_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return seccomp.install(listen=listen)


def confine_thread(uid: int | None, gid: int, groups: list[int]) -> int:
    """The same for the calling thread alone, but for the limits, which are a process's: what it spawns has it all.
    Returns the descriptor on which its watched calls are told."""
    if _libc.unshare(_CLONE_FS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.umask(0o002)
    if uid is not None:  # by the bare calls: libc's change all threads
        _own("setgroups", len(groups), (ctypes.c_uint * len(groups))(*groups))
        _own("setresgid", gid, gid, gid)
        _own("setresuid", uid, uid, uid)
        hide_from_ptrace()  # that is for the machine to say anew when a uid changes
    drop_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    listener = seccomp.install(listen=True)
    assert listener is not None
    return listener


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Of the calling thread alone: libc would have the others do the same, and wait for those whose calls are told."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    try:
        _own("setresgid", -1, gid, -1)
        _own("setresuid", -1, uid, -1)
        yield
    finally:
        _own("setresuid", -1, own_uid, -1)
        _own("setresgid", -1, own_gid, -1)
        hide_from_ptrace()


def _own(name: str, *arguments: Any) -> None:
    if _libc.syscall(ctypes.c_long(syscalls.IDENTITY[name][os.uname().machine != "x86_64"]), *arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def limit(limits: dict[str, int], pid: int = 0) -> None:
    """Of this process, or of one that has the same uid."""
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        soft, ceiling = resource.prlimit(pid, kind)
        value = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        if (soft, ceiling) != (value, value):
            resource.prlimit(pid, kind, (value, value))


def in_force(pid: int) -> dict[str, Any]:
    """What the machine says of that process."""
    status = targets.status(pid)
    with open(f"/proc/{pid}/limits") as file:
        limits = {line[:26].rstrip(): line[26:].split()[1] for line in file}
    return {
        "uid": int(status["Uid"].split()[1]),
        "gid": int(status["Gid"].split()[1]),
        "capabilities": {key: status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privileges": status["NoNewPrivs"] == "1",
        "seccomp_filters": int(status.get("Seccomp_filters", "0")),
        "limits": {name: -1 if limits[text] == "unlimited" else int(limits[text]) for name, text in _LIMITS.items()},
    }


def within_reach() -> dict[str, Any]:
    """What the calling thread can still do, by trying: meant for a confined one. Let it end soon after if it may open a
    namespace, as then it is in it."""
    return {
        "vsock": _can_open_socket(syscalls.VSOCK),
        "writable_mounts": _writable_mounts(),
        "user_namespaces": _can_open_namespace(0x10000000),
    }


def of_the_host() -> dict[str, Any]:
    """What is the same for all processes."""
    return {"interfaces": sorted(name for _, name in socket.if_nameindex()), "cgroup": _cgroup_limits()}


def _can_open_namespace(flags: int) -> bool:
    """By unshare, or by clone, which the engine's own profile would not tell apart from a fork. This process is in it
    then."""
    if _libc.unshare(flags) == 0 or ctypes.get_errno() == errno.EINVAL:  # nobody refused it, but one of many threads
        return True
    pid: int = _libc.syscall(syscalls.number("clone"), flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0


def _can_open_socket(family: int) -> bool:
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _writable_mounts() -> list[str]:
    with open("/proc/self/mountinfo") as file:
        rows = [line.split() for line in file]
    return sorted({row[4] for row in rows if "rw" in row[5].split(",") and os.access(row[4], os.W_OK)})


def _cgroup_limits() -> dict[str, int]:
    """Bytes of memory and number of processes, from whichever cgroup version shows them."""
    files = {
        "memory": ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        "pids": ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
    }
    found = {}
    for name, paths in files.items():
        for path in paths:
            try:
                with open(path) as file:
                    found[name] = int(file.read())
            except (OSError, ValueError):
                continue
    return found


def remount_read_only(path: str) -> None:
    """Where we own the mount namespace. The flags are MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV."""
    if _libc.mount(b"none", path.encode(), None, 32 | 4096 | 1 | 2 | 4, None) != 0:
        raise OSError(ctypes.get_errno(), "remount", path)


def _prctl(option: int, value: int | bytes, extra: Any = 0) -> None:
    if _libc.prctl(option, value, extra, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
