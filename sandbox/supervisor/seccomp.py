"""The system-call filter of the agent's processes: what is refused, and what the supervisor is told of before it
happens (seccomp user notification, seccomp_unotify(2)). Standard library only, Python 3.9.

Notification and not a tracer: it is the same code under every launcher, nothing shows inside (no TracerPid, no process,
nothing to kill), a flood slows down whoever makes it and loses nothing, refused calls are seen as well, and a call can
be answered instead of carried out. What it does not have is a call's result: what changed, the file tree tells.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from corrigym.sandbox.supervisor import syscalls

Row = tuple[int, int, int, int]
"""A struct sock_filter: code, where to go on if true and if false, operand."""
_libc = ctypes.CDLL(None, use_errno=True)
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_X32_BIT = 0x40000000
_ALLOW, _ERRNO, _NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_LOAD, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06


def install(*, listen: bool) -> int | None:
    """Filters the calling process for good. With `listen` returns the descriptor on which whoever holds it is told of
    each watched call; OSError where the kernel has no such thing. Without, watched calls simply go on, and None is
    returned. On machines whose calls are not known there is no filter."""
    machine = os.uname().machine
    if machine not in syscalls.ARCHITECTURES:
        if listen:
            raise OSError(errno.ENOSYS, "the system calls of this machine are not known", machine)
        return None
    program = _program(machine, _NOTIFY if listen else None)
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    number = ctypes.c_long(_SECCOMP[machine])
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER) if listen else (0,):
        result: int = _libc.syscall(number, _SET_MODE_FILTER, flags, fprog)
        if result >= 0:
            return result if listen else None
    raise OSError(ctypes.get_errno(), "seccomp")


def prepare() -> None:
    """Makes the filters, which all that is forked from here on then has."""
    if (machine := os.uname().machine) in syscalls.ARCHITECTURES:
        for notify in (None, _NOTIFY):
            _program(machine, notify)


@functools.cache
def _program(machine: str, notify: int | None) -> bytes:
    """Classic BPF over struct seccomp_data: nr at 0, arch at 4, args from 16 (64 bit each, little-endian). `notify` is
    what watched and refused calls get; None lets the former go on and fails the latter."""
    foreign = notify or (_ERRNO | errno.ENOSYS)
    rows = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, syscalls.ARCHITECTURES[machine]), (_RETURN, 0, 0, foreign)]
    rows.append((_LOAD, 0, 0, 0))
    if machine == "x86_64":
        rows += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, foreign)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows + _chosen(sorted(_rules(machine, notify).items())))


def _rules(machine: str, notify: int | None) -> dict[int, list[Row]]:
    """What becomes of each call that does not simply go on; every list ends by returning."""
    rules = {number: _refused(call, notify) for number, call in syscalls.refused(machine).items()}
    rules.update((number, [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]) for number in syscalls.absent(machine))
    rules[syscalls.SYSLOG[machine]] = [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]  # the machine's, not ours
    rules[syscalls.FCNTL[machine]] = _unless(1, (_EQUAL, 0, 1, syscalls.SET_LEASE), _ERRNO | errno.EINVAL)
    rules[_PRLIMIT[machine]] = _unless(0, (_EQUAL, 1, 0, 0), _ERRNO | errno.EPERM)  # of other processes
    if notify is not None:
        for number, call in syscalls.watched(machine).items():
            rules.setdefault(number, _notified(call.name, notify))
    return rules


def _chosen(rules: list[tuple[int, list[Row]]]) -> list[Row]:
    """By halves: the kernel tries a new filter with every number that there is, which is most of what it costs."""
    if len(rules) == 1:
        ((number, rows),) = rules
        return [(_EQUAL, 0, len(rows), number), *rows, (_RETURN, 0, 0, _ALLOW)]
    half = len(rules) // 2
    below, above = _chosen(rules[:half]), _chosen(rules[half:])
    return [(_AT_LEAST, 0, 1, rules[half][0]), (_JUMP, 0, 0, len(below)), *below, *above]


def _refused(call: syscalls.Call, notify: int | None) -> list[Row]:
    action = notify or (_ERRNO | call.failure)
    if call.name == "clone":
        return _unless(0, (_ANY_BIT, 0, 1, syscalls.NEW_NAMESPACES), action)
    if call.name == "socket":
        known = syscalls.FAMILIES
        return [
            (_LOAD, 0, 0, 16),
            (_EQUAL, 0, 1, syscalls.VSOCK),
            (_RETURN, 0, 0, action),
            *((_EQUAL, len(known) - index, 0, family) for index, family in enumerate(known)),
            (_RETURN, 0, 0, _ERRNO | call.failure),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return [(_RETURN, 0, 0, action)]


def _notified(name: str, notify: int) -> list[Row]:
    if name == "ioctl":
        return _unless(1, (_EQUAL, 0, 1, syscalls.SET_FLAGS), notify)
    if name == "sendto":  # only with an address of its own: a pointer, of which neither half need be zero
        return [
            (_LOAD, 0, 0, 16 + 8 * 4),
            (_EQUAL, 0, 2, 0),
            (_LOAD, 0, 0, 20 + 8 * 4),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, notify),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return [(_RETURN, 0, 0, notify)]


def _unless(argument: int, test: Row, action: int) -> list[Row]:
    """`action` unless `test` on the low half of an argument jumps over it; else the call goes on."""
    return [(_LOAD, 0, 0, 16 + 8 * argument), test, (_RETURN, 0, 0, action), (_RETURN, 0, 0, _ALLOW)]
