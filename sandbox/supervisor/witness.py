"""Is told of the agent's system calls before they happen (`seccomp`), and keeps those that are evidence: what is tried
on a protected path, signals, connections, what is executed, calls that are refused. Standard library only, Python 3.9.

The names of files are read from the caller's memory before the kernel reads them, and another thread may change them in
between: what really changed, the file tree tells.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import select
import struct
from collections import Counter
from typing import Any

from corrigym.sandbox.supervisor import files, syscalls, targets
from corrigym.sandbox.supervisor.guards import Guard
from corrigym.sandbox.supervisor.interpret import Interpreter, Notice
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.processes import Begun

MAX_RECORDS = 300
"""Different calls of each operation that are kept between two looks, so that none can crowd out another; the rest is
counted."""
_RECEIVE, _SEND, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40182103, 0x40082104
_SYNC_WAKE_UP = _CONTINUE = 1
_LONGEST_COPY = 1 << 20
_X32_BIT = 0x40000000
_NOTIFICATION, _RESPONSE = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")


class Witness:
    """Keeps what `interpreter` makes of the calls, and answers for the kernel where a guard says so."""

    def __init__(self, loop: Loop, interpreter: Interpreter, guards: list[Guard]) -> None:
        self._loop, self._interpreter, self._guards = loop, interpreter, guards
        machine = os.uname().machine
        self._watched, self._refused = syscalls.watched(machine), syscalls.refused(machine)
        self._architecture = syscalls.ARCHITECTURES.get(machine)
        self._commands: dict[int, tuple[int, Begun]] = {}
        """By the descriptor that tells their calls: step, and what is executed."""
        self._records: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._kept: Counter[str] = Counter()
        self._buffer = bytearray(_NOTIFICATION.size)
        self.lost = self.unreadable = 0
        self.lent = os.urandom(8).hex()
        """What the copies are called that guarded processes write into: none of the agent's files."""

    def take(self) -> dict[str, Any]:
        """What was seen since the last look."""
        records = list(self._records.values())
        self._records.clear()
        self._kept.clear()
        lost, self.lost, unreadable, self.unreadable = self.lost, 0, self.unreadable, 0
        return {"calls": records, "calls_lost": lost, "calls_unreadable": unreadable}

    def attend(self, step: int, begun: Begun, listener: int) -> None:
        """Takes what is told there from now on as `step`'s, also much later."""
        if listener not in self._commands:
            with contextlib.suppress(OSError):  # an older kernel: slower
                fcntl.ioctl(listener, _SET_FLAGS, _SYNC_WAKE_UP)
            self._loop.watch(listener, select.POLLIN, functools.partial(self._told, listener))
        self._commands[listener] = step, begun

    def _told(self, listener: int, events: int) -> None:
        if events & select.POLLIN:  # asked for a call that is not there, the kernel would let us wait
            self._answer(listener, *self._commands[listener])
        else:  # the last process is gone
            self._loop.forget(listener)
            del self._commands[listener]
            os.close(listener)

    def _answer(self, listener: int, step: int, begun: Begun) -> None:
        self._buffer[:] = bytes(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, self._buffer)
        except OSError:
            return  # the caller was killed meanwhile
        number, thread, _, call, architecture, _, *arguments = _NOTIFICATION.unpack(self._buffer)
        if architecture != self._architecture or call >= _X32_BIT:
            self._keep(thread, step, {"name": f"foreign call {call}", "operation": "isolation", "refused": True})
            answer = _RESPONSE.pack(number, 0, -errno.ENOSYS, 0)
        elif call in self._refused:
            self._keep(thread, step, {"name": self._refused[call].name, "operation": "isolation", "refused": True})
            answer = _RESPONSE.pack(number, 0, -self._refused[call].failure, 0)
        else:
            ours = begun.executes(thread) if self._watched[call].operation == "execute" else ()
            answer = self._judge(listener, number, Notice(thread, self._watched[call], tuple(arguments), ours), step)
        if answer:
            try:
                fcntl.ioctl(listener, _SEND, answer)
            except OSError:
                pass  # killed meanwhile

    def _judge(self, listener: int, number: int, notice: Notice, step: int) -> bytes:
        """The answer to a call, once it is kept; nothing if it has been given."""
        go_on = _RESPONSE.pack(number, 0, 0, _CONTINUE)
        try:
            record = self._interpreter.record(notice)
        except (OSError, ValueError, LookupError, struct.error):
            self.unreadable += 1
            return go_on
        if record is None:
            return go_on
        guard = next((guard for guard in self._guards if guard.holds(record["operation"], _subjects(record))), None)
        if guard is None:
            self._keep(notice.thread, step, record, ours=bool(notice.ours))
            return go_on
        record["detail"]["intervention"] = "feigned" if guard.feign else "denied"
        self._keep(notice.thread, step, record)
        if not guard.feign:
            return _RESPONSE.pack(number, 0, -errno.EPERM, 0)
        if record["operation"] in ("write", "copy"):
            return _lend(listener, number, record["paths"][-1], self.lent)
        return _RESPONSE.pack(number, 0, 0, 0)

    def _keep(self, thread: int, step: int, record: dict[str, Any], *, ours: bool = False) -> None:
        program = "" if ours else targets.program(thread)
        key = (step, program, *(repr(value) for value in record.values()))
        known = self._records.get(key)
        kind = record["operation"]
        if known is not None:
            known["count"] += 1
        elif self._kept[kind] >= MAX_RECORDS:
            self.lost += 1
        else:
            self._kept[kind] += 1
            self._records[key] = {
                "paths": [], "detail": {}, "refused": False, **record, "program": program, "step": step, "count": 1,
            }  # fmt: skip


def _subjects(record: dict[str, Any]) -> list[str]:
    """What a guard may be about: the files that a call names, or the world's processes that a signal goes to."""
    return [*record["paths"], *record["detail"].get("to", ())]


def _lend(listener: int, number: int, path: str, name: str) -> bytes:
    """Gives the caller a copy to write into that nobody else ever sees; the answer if that cannot be done."""
    copy = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with contextlib.suppress(OSError), files.open_regular(path) as file:
            os.write(copy, file.read(_LONGEST_COPY))
        # struct seccomp_notif_addfd: id, flags, srcfd, newfd, newfd_flags; SECCOMP_ADDFD_FLAG_SEND answers as well
        fcntl.ioctl(listener, _ADD_DESCRIPTOR, struct.pack("=QIIII", number, 2, copy, 0, 0))
    except OSError:
        return _RESPONSE.pack(number, 0, -errno.EIO, 0)
    finally:
        os.close(copy)
    return b""
