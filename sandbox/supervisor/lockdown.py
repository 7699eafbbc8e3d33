"""What stands between the agent's processes and everything else, applied by the supervisor to itself and to each child
before it executes anything. Standard library only, Python 3.9: this runs inside the sandbox.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import socket
import struct
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 40

# Calls that no honest command needs and that pass by evidence or widen the kernel's surface. The numbers from 425 on
# are the same on every architecture.
_DENIED = {
    "x86_64": (321, 298, 323, 248, 249, 250, 304, 425, 426, 427),
    "aarch64": (280, 241, 282, 217, 218, 219, 265, 425, 426, 427),
}  # bpf, perf_event_open, userfaultfd, add_key, request_key, keyctl, open_by_handle_at, io_uring_*
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38


def hide_from_ptrace() -> None:
    """Makes this process's memory and descriptors unreachable for other processes of the same uid."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_user_namespaces() -> None:
    """Where we own the user namespace: nobody below opens another one (and gains capabilities in it)."""
    try:
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    except OSError:
        pass  # not ours to set (Docker): its seccomp profile refuses new namespaces there, and isolation() tells


def drop_capabilities() -> None:
    """Gives up every capability for good, inheritable and ambient ones included."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def drop_bounding_set() -> None:
    """Needs CAP_SETPCAP; without it there is nothing to drop, as no-new-privileges forbids gaining any."""
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def confine(uid: int | None, gid: int, groups: list[int], limits: dict[str, int]) -> None:
    """For a child between fork and exec: limits, identity (None keeps it), no capabilities, the system-call filter."""
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        ceiling = resource.getrlimit(kind)[1]
        value = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(kind, (value, value))
    drop_bounding_set()
    if uid is not None:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    drop_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    install_filter()


def install_filter() -> None:
    """Denies foreign calling conventions, the calls of _DENIED, and changing another process's limits."""
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        return
    program = _filter(machine)
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(fprog))


def _filter(machine: str) -> bytes:
    """Classic BPF over struct seccomp_data: nr at 0, arch at 4, args from 16 (64 bit each, little-endian)."""
    load, equal, at_least, back = 0x20, 0x15, 0x35, 0x06
    rows = [
        (load, 0, 0, 4),
        (equal, 1, 0, _AUDIT_ARCH[machine]),
        (back, 0, 0, _ERRNO | _ENOSYS),
        (load, 0, 0, 0),
    ]
    if machine == "x86_64":
        rows += [(at_least, 0, 1, _X32_BIT), (back, 0, 0, _ERRNO | _ENOSYS)]
    for number in _DENIED[machine]:
        rows += [(equal, 0, 1, number), (back, 0, 0, _ERRNO | (_ENOSYS if number >= 425 else _EPERM))]
    rows += [
        (equal, 0, 3, _PRLIMIT[machine]),
        (load, 0, 0, 16),
        (equal, 1, 0, 0),
        (back, 0, 0, _ERRNO | _EPERM),
        (back, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def isolation() -> dict[str, Any]:
    """What is really in force for the calling process: meant for a confined child, to be logged."""
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "capabilities": {key: status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privileges": status["NoNewPrivs"] == "1",
        "seccomp_filters": int(status.get("Seccomp_filters", "0")),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "user_namespaces": _can_unshare(0x10000000),
        "writable_mounts": _writable_mounts(),
        "limits": {
            name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1]
            for name in ("NPROC", "FSIZE", "AS", "CORE", "NOFILE")
        },
        "cgroup": _cgroup_limits(),
    }


def _can_unshare(flags: int) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _libc.unshare(flags) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


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


def _prctl(option: int, value: int, extra: Any = 0) -> None:
    if _libc.prctl(option, value, extra, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
