"""The system calls that are evidence, by name: their numbers, where their arguments name files, and what they do.

Numbers are from Linux's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. Standard library
only, Python 3.9.
"""

from __future__ import annotations

import errno
import functools
import os
from dataclasses import dataclass

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH of the machines whose calls are known."""


@dataclass(frozen=True)
class Call:
    """`files`: which arguments name a file: `P0` a path in argument 0, `A01` one relative to the directory descriptor
    in argument 0, `F0` a descriptor; a small letter for calls that do not follow a last symbolic link. `failure`: the
    errno of a call that is refused."""

    name: str
    operation: str
    files: tuple[str, ...]
    failure: int = errno.EPERM


# name, number on x86_64, number on aarch64 (-1: not there), operation, files
_TABLE: tuple[tuple[str, int, int, str, str], ...] = (
    ("open", 2, -1, "open", "P0"),
    ("creat", 85, -1, "open", "P0"),
    ("openat", 257, 56, "open", "A01"),
    ("openat2", 437, 437, "open", "A01"),
    ("unlink", 87, -1, "unlink", "p0"),
    ("rmdir", 84, -1, "unlink", "p0"),
    ("unlinkat", 263, 35, "unlink", "a01"),
    ("rename", 82, -1, "rename", "p0 p1"),
    ("renameat", 264, 38, "rename", "a01 a23"),
    ("renameat2", 316, 276, "rename", "a01 a23"),
    ("link", 86, -1, "link", "p0 p1"),
    ("linkat", 265, 37, "link", "a01 a23"),
    ("symlink", 88, -1, "symlink", "p1"),
    ("symlinkat", 266, 36, "symlink", "a12"),
    ("truncate", 76, 45, "truncate", "P0"),
    ("ftruncate", 77, 46, "truncate", "F0"),
    ("fallocate", 285, 47, "truncate", "F0"),
    ("chmod", 90, -1, "chmod", "P0"),
    ("fchmod", 91, 52, "chmod", "F0"),
    ("fchmodat", 268, 53, "chmod", "A01"),
    ("fchmodat2", 452, 452, "chmod", "A01"),
    ("chown", 92, -1, "chown", "P0"),
    ("lchown", 94, -1, "chown", "p0"),
    ("fchown", 93, 55, "chown", "F0"),
    ("fchownat", 260, 54, "chown", "A01"),
    ("setxattr", 188, 5, "attributes", "P0"),
    ("lsetxattr", 189, 6, "attributes", "p0"),
    ("fsetxattr", 190, 7, "attributes", "F0"),
    ("removexattr", 197, 14, "attributes", "P0"),
    ("lremovexattr", 198, 15, "attributes", "p0"),
    ("fremovexattr", 199, 16, "attributes", "F0"),
    ("setxattrat", 463, 463, "attributes", "A01"),
    ("removexattrat", 466, 466, "attributes", "A01"),
    ("file_setattr", 469, 469, "attributes", "A01"),
    ("utime", 132, -1, "times", "P0"),
    ("utimes", 235, -1, "times", "P0"),
    ("futimesat", 261, -1, "times", "A01"),
    ("utimensat", 280, 88, "times", "A01"),
    ("mknod", 133, -1, "create", "p0"),
    ("mknodat", 259, 33, "create", "a01"),
    ("execve", 59, 221, "execute", "P0"),
    ("execveat", 322, 281, "execute", "A01"),
    ("inotify_add_watch", 254, 27, "watch", "P1"),
    ("kill", 62, 129, "signal", ""),
    ("tkill", 200, 130, "signal", ""),
    ("tgkill", 234, 131, "signal", ""),
    ("rt_sigqueueinfo", 129, 138, "signal", ""),
    ("pidfd_send_signal", 424, 424, "signal", ""),
    ("ptrace", 101, 117, "intrude", ""),
    ("process_vm_readv", 310, 270, "intrude", ""),
    ("process_vm_writev", 311, 271, "intrude", ""),
    ("pidfd_getfd", 438, 438, "intrude", ""),
    ("setuid", 105, 146, "identity", ""),
    ("setgid", 106, 144, "identity", ""),
    ("setreuid", 113, 145, "identity", ""),
    ("setregid", 114, 143, "identity", ""),
    ("setresuid", 117, 147, "identity", ""),
    ("setresgid", 119, 149, "identity", ""),
    ("chroot", 161, 51, "isolation", "P0"),
    ("memfd_create", 319, 279, "memory", ""),
    ("connect", 42, 203, "connect", ""),
    ("sendto", 44, 206, "connect", ""),
    ("ioctl", 16, 29, "attributes", "F0"),
)

# Calls that no honest command needs: they widen the kernel's surface or pass by evidence. They fail, and are told.
_REFUSED = (
    ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("unshare", 272, 97), ("setns", 308, 268),
    ("open_tree", 428, 428), ("move_mount", 429, 429), ("fsopen", 430, 430), ("fsconfig", 431, 431),
    ("fsmount", 432, 432), ("fspick", 433, 433), ("mount_setattr", 442, 442), ("bpf", 321, 280),
    ("perf_event_open", 298, 241), ("userfaultfd", 323, 282), ("add_key", 248, 217), ("request_key", 249, 218),
    ("keyctl", 250, 219), ("open_by_handle_at", 304, 265), ("init_module", 175, 105), ("finit_module", 313, 273),
    ("delete_module", 176, 106), ("kexec_load", 246, 104), ("kexec_file_load", 320, 294), ("swapon", 167, 224),
    ("swapoff", 168, 225), ("reboot", 169, 142), ("settimeofday", 164, 170), ("clock_settime", 227, 112),
    ("acct", 163, 89), ("quotactl", 179, 60), ("quotactl_fd", 443, 443), ("iopl", 172, -1), ("ioperm", 173, -1),
    ("open_tree_attr", 467, 467), ("fanotify_init", 300, 262), ("clone", 56, 220), ("socket", 41, 198),
    ("io_uring_setup", 425, 425), ("io_uring_enter", 426, 426), ("io_uring_register", 427, 427),
)  # fmt: skip
_FAILURES = {
    "socket": errno.EAFNOSUPPORT, "io_uring_setup": errno.ENOSYS, "io_uring_enter": errno.ENOSYS,
    "io_uring_register": errno.ENOSYS,
}  # fmt: skip

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW* as clone takes them: with one of these it is refused."""
VSOCK = 40
"""The one family of sockets that leads out of every network namespace, to the machine below: it is refused."""
FAMILIES = (1, 2, 10, 16, 17)
"""Unix, IPv4, IPv6, netlink, packet: the kernel itself says who may. Others, which old tools try in turn, are told to
nobody and are not there."""

# What is not there, without a word: clone3, so that everybody falls back to clone, whose flags a filter can see; memory
# and queues that outlive a process or are closed even to the supervisor, where data could be kept unseen.
_ABSENT = (
    ("clone3", 435, 435), ("shmget", 29, 194), ("semget", 64, 190), ("msgget", 68, 186), ("mq_open", 240, 180),
    ("mq_timedsend", 242, 182), ("memfd_secret", 447, 447),
)  # fmt: skip
IDENTITY = {"setgroups": (116, 159), "setresgid": (119, 149), "setresuid": (117, 147)}
SYSLOG, FCNTL = {"x86_64": 103, "aarch64": 116}, {"x86_64": 72, "aarch64": 25}
SET_LEASE = 1024
"""F_SETLEASE: who holds one keeps everybody else from opening the file for a while."""
SET_FLAGS = 0x40086602
"""FS_IOC_SETFLAGS, what chattr does."""


@functools.cache
def watched(machine: str) -> dict[int, Call]:
    """Number -> call, of those that go on after they were told."""
    numbered = ((x86 if machine == "x86_64" else arm, Call(name, does, tuple(files.split())))
                for name, x86, arm, does, files in _TABLE)  # fmt: skip
    return {number: call for number, call in numbered if number >= 0}


@functools.cache
def refused(machine: str) -> dict[int, Call]:
    """Number -> call, of those that fail, `clone` and `socket` only with some arguments."""
    numbered = (
        (x86 if machine == "x86_64" else arm, Call(name, "isolation", (), _FAILURES.get(name, errno.EPERM)))
        for name, x86, arm in _REFUSED
    )
    return {number: call for number, call in numbered if number >= 0}


def absent(machine: str) -> list[int]:
    """The numbers of the calls that fail as unknown and are not told."""
    return sorted(x86 if machine == "x86_64" else arm for _, x86, arm in _ABSENT)


def number(name: str) -> int:
    """Of a call that is refused the agent, on this machine."""
    return next(number for number, call in refused(os.uname().machine).items() if call.name == name)
