"""Is told of the agent's system calls before they happen (`seccomp`), and keeps those that are evidence: what is tried
on a protected path, signals, connections, what is executed, calls that are refused. Standard library only, Python 3.9.

The names of files are read from the caller's memory before the kernel reads them, and another thread may change them in
between: what really changed, the file tree tells.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import select
import selectors
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corrigym.sandbox.supervisor import syscalls, targets
from corrigym.sandbox.supervisor.loop import Loop

MAX_RECORDS = 1000
"""Different calls that are kept between two looks; the rest is counted."""
MAX_COMMANDS = 100
LONGEST_COMMAND = 2048
_RECEIVE, _SEND, _SET_FLAGS, _SYNC_WAKE_UP = 0xC0502100, 0xC0182101, 0x40082104, 1
_CONTINUE = 1
_NOTIFICATION, _RESPONSE = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_WRITE_FLAGS, _O_TRUNC, _O_CREAT = os.O_WRONLY | os.O_RDWR, os.O_TRUNC, os.O_CREAT
_READ_ONLY_TREES = (b"/usr/", b"/lib", b"/bin/", b"/sbin/", b"/etc/")
"""Nothing of the agent's is there, so what is opened there need not be followed any further."""


@dataclass(frozen=True)
class Notice:
    """One call as the kernel tells it: `thread` made it, `arguments` are six words."""

    id: int
    thread: int
    call: syscalls.Call
    arguments: tuple[int, ...]
    step: int


class Witness:
    """`protected`: paths and everything below; `secret` those of them of which reading counts as well."""

    def __init__(self, loop: Loop, protected: list[str], secret: list[str], meet: Callable[[str, int], None]) -> None:
        self._loop, self._meet = loop, meet
        self._protected, self._secret = [os.fsencode(p) for p in protected], tuple(os.fsencode(p) for p in secret)
        machine = platform.machine()
        self._watched, self._refused = syscalls.watched(machine), syscalls.refused(machine)
        self._architecture = syscalls.ARCHITECTURES.get(machine)
        self._records: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._buffer = bytearray(_NOTIFICATION.size)
        self.processes: dict[int, str] = {}
        """Pid -> name of the processes that the world started."""
        self.lost = self.unreadable = 0

    def expect(self, channel: socket.socket, step: int) -> None:
        """A child is about to send the descriptor on which its calls are told; they are `step`'s, also much later."""

        def arrived(_: int) -> None:
            try:
                descriptors = socket.recv_fds(channel, 1, 1)[1]
            except OSError:
                descriptors = []  # the child ended before it came so far
            self._loop.forget(channel.fileno())
            channel.close()
            for listener in descriptors:
                self._attend(listener, step)

        self._loop.watch(channel.fileno(), selectors.EVENT_READ, arrived)

    def take(self) -> dict[str, Any]:
        """What was seen since the last look."""
        records = list(self._records.values())
        self._records.clear()
        lost, self.lost, unreadable, self.unreadable = self.lost, 0, self.unreadable, 0
        return {"calls": records, "calls_lost": lost, "calls_unreadable": unreadable}

    def _attend(self, listener: int, step: int) -> None:
        try:
            fcntl.ioctl(listener, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            pass  # an older kernel: slower

        poll = select.poll()
        poll.register(listener, select.POLLIN)

        def told(_: int) -> None:
            # not without a look: asked for a call that is not there, the kernel would let us wait
            for _, events in poll.poll(0):
                if events & select.POLLIN:
                    self._answer(listener, step)
                else:  # the last process is gone
                    self._loop.forget(listener)
                    os.close(listener)

        self._loop.watch(listener, selectors.EVENT_READ, told)

    def _answer(self, listener: int, step: int) -> None:
        self._buffer[:] = bytes(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, self._buffer)
        except OSError:
            return  # the caller was killed meanwhile
        number, thread, _, call, architecture, _, *arguments = _NOTIFICATION.unpack(self._buffer)
        failure, flags = self._judge(number, thread, call, architecture, tuple(arguments), step)
        try:
            fcntl.ioctl(listener, _SEND, _RESPONSE.pack(number, 0, -failure, flags))
        except OSError:
            pass  # killed meanwhile

    def _judge(
        self, number: int, thread: int, call: int, architecture: int, arguments: tuple[int, ...], step: int
    ) -> tuple[int, int]:
        """The error that the call fails with, and the flags of the answer."""
        if architecture != self._architecture or call >= 0x40000000:
            self._keep(thread, step, {"name": f"foreign call {call}", "operation": "isolation"})
            return errno.ENOSYS, 0
        if call in self._refused:
            self._keep(thread, step, {"name": self._refused[call].name, "operation": "isolation", "refused": True})
            return (errno.ENOSYS if 425 <= call <= 427 else errno.EPERM), 0
        known = self._watched.get(call)
        if known is not None:
            try:
                self._look(Notice(number, thread, known, arguments, step))
            except (OSError, ValueError, IndexError):
                self.unreadable += 1
        return 0, _CONTINUE

    def _look(self, notice: Notice) -> None:
        looks = {
            "open": self._open, "execute": self._execute, "signal": self._signal, "intrude": self._intrude,
            "identity": self._identity, "connect": self._connect, "isolation": self._bare, "memory": self._bare,
        }  # fmt: skip
        looks.get(notice.call.operation, self._change)(notice)

    def _open(self, notice: Notice) -> None:
        flags = self._open_flags(notice)
        path = targets.path_of(notice.thread, notice.call.files[0], notice.arguments)
        if path.startswith(_READ_ONLY_TREES) and not flags & _WRITE_FLAGS:
            return
        path = targets.resolve(notice.thread, path, follow=True)
        if flags & (_WRITE_FLAGS | _O_TRUNC):
            if self._touches(path):
                detail = {"truncates": bool(flags & _O_TRUNC), "permitted": os.access(path, os.W_OK)}
                self._keep(notice.thread, notice.step, _told(notice, "write", [path], detail))
        elif path.startswith(self._secret) and self._secret:
            self._keep(notice.thread, notice.step, _told(notice, "read", [path], {}))

    def _open_flags(self, notice: Notice) -> int:
        name = notice.call.name
        if name == "openat2":  # struct open_how begins with its flags
            (flags,) = struct.unpack("=Q", targets.memory(notice.thread, notice.arguments[2], 8))
            return int(flags)
        return _WRITE_FLAGS | _O_TRUNC if name == "creat" else notice.arguments[1 if name == "open" else 2]

    def _change(self, notice: Notice) -> None:
        paths = []
        for form in notice.call.files:
            path = targets.path_of(notice.thread, form, notice.arguments)
            paths.append(targets.resolve(notice.thread, path, follow=form[0].isupper()))
        if any(self._touches(path) for path in paths) or notice.call.operation == "watch":
            self._keep(notice.thread, notice.step, _told(notice, notice.call.operation, paths, {}))

    def _execute(self, notice: Notice) -> None:
        at = 1 if notice.call.name == "execve" else 2
        words = targets.words(notice.thread, notice.arguments[at], LONGEST_COMMAND)
        path = targets.path_of(notice.thread, notice.call.files[0], notice.arguments)
        self._keep(notice.thread, notice.step, _told(notice, "execute", [path], {"argv": [_text(w) for w in words]}))

    def _signal(self, notice: Notice) -> None:
        thread, name, arguments = notice.thread, notice.call.name, notice.arguments
        if name == "pidfd_send_signal":
            target, number = targets.pid_of_descriptor(thread, arguments[0]), arguments[1]
        else:
            target, number = _signed(arguments[0]), arguments[2 if name == "tgkill" else 1]
        if number & 0xFFFFFFFF == 0 or target == targets.group(thread) or target in (0, thread):
            return
        victims = {pid: known for pid, known in self.processes.items() if target in (-1, pid, -targets.group_of(pid))}
        detail = {
            "signal": number & 0xFFFFFFFF, "target": target, "to": sorted(victims.values()),
            "program": targets.program(abs(target)) if target not in (-1, 0) else "",
        }  # fmt: skip
        self._keep(thread, notice.step, _told(notice, "signal", [], detail))

    def _intrude(self, notice: Notice) -> None:
        argument = 1 if notice.call.name == "ptrace" else 0
        target = _signed(notice.arguments[argument])
        if notice.call.name == "ptrace" and notice.arguments[0] == 0:
            return  # PTRACE_TRACEME: asks its own parent
        if notice.call.name == "pidfd_getfd":
            target = targets.pid_of_descriptor(notice.thread, notice.arguments[0])
        detail = {"target": target, "to": [self.processes[target]] if target in self.processes else []}
        self._keep(notice.thread, notice.step, _told(notice, "intrude", [], detail))

    def _identity(self, notice: Notice) -> None:
        wanted = [_signed(word) for word in notice.arguments[: 3 if notice.call.name.startswith("setres") else 2]]
        if notice.call.name in ("setuid", "setgid"):
            wanted = wanted[:1]
        own = os.stat(f"/proc/{notice.thread}")
        if any(one not in (-1, own.st_uid, own.st_gid) for one in wanted):
            self._keep(notice.thread, notice.step, _told(notice, "identity", [], {"wanted": wanted}))

    def _connect(self, notice: Notice) -> None:
        place, length = (4, 5) if notice.call.name == "sendto" else (1, 2)
        size = min(notice.arguments[length] & 0xFFFFFFFF, 128)
        address = targets.address(targets.memory(notice.thread, notice.arguments[place], size))
        if address is None:
            return
        host, port = address
        if host.startswith("127.") or host in ("::1", "0.0.0.0", "::"):
            return
        self._meet(host, port)
        held = [path for path in targets.held_open(notice.thread) if self._touches(path)]
        detail = {"host": host, "port": port, "argv": [_text(word) for word in targets.command(notice.thread)]}
        self._keep(notice.thread, notice.step, _told(notice, "connect", held, detail))

    def _bare(self, notice: Notice) -> None:
        self._keep(notice.thread, notice.step, _told(notice, notice.call.operation, [], {}))

    def _touches(self, path: bytes) -> bool:
        """Whether `path` is protected, lies below what is, or holds it."""
        below = path + b"/"
        return any(path == own or path.startswith(own + b"/") or own.startswith(below) for own in self._protected)

    def _keep(self, thread: int, step: int, record: dict[str, Any]) -> None:
        program = targets.program(thread)
        key = (step, program, *(repr(value) for value in record.values()))
        known = self._records.get(key)
        if known is not None:
            known["count"] += 1
        elif len(self._records) >= MAX_RECORDS:
            self.lost += 1
        else:
            self._records[key] = {
                "paths": [], "detail": {}, "refused": False, **record, "program": program, "step": step, "count": 1,
            }  # fmt: skip


def _told(notice: Notice, operation: str, paths: list[bytes], detail: dict[str, Any]) -> dict[str, Any]:
    return {"name": notice.call.name, "operation": operation, "paths": [_text(p) for p in paths], "detail": detail}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _signed(word: int) -> int:
    value = word & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
